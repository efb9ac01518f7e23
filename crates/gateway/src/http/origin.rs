//! Which pages of other origins may use the API from a browser.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember the answer.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Lets in pages of the allowed origins (`*`: of all). Tokens travel in a header that a page sets
/// by itself, never in cookies, so nothing is sent in anybody's name without their page's doing.
pub(crate) fn layer(allowed: &[String]) -> CorsLayer {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let allowed = allowed.to_vec();
    let is_allowed = move |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| {
            let is_it = |one: &String| one == "*" || one.eq_ignore_ascii_case(origin);
            allowed.iter().any(is_it)
        })
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| is_allowed(origin)))
        .allow_methods(methods)
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER])
        .max_age(REMEMBERED)
}

//! Requests, counted and timed by route: by its template, for names in paths are anybody's.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// The label for what is no resource: files of the page, and what does not exist.
const ELSEWHERE: &str = "other";

/// Runs the rest and measures it.
pub(crate) async fn measured(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(ELSEWHERE, MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("chinwag_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("chinwag_http_request_seconds", "route" => route).record(started.elapsed());
    response
}

//! "Not now": the answer to whoever comes while there is no place, with when to come again.

use std::time::Duration;

use axum::body::Body;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

/// The answer to a request.
pub(crate) fn response(reason: &str, message: &str, after: Duration) -> Response<Body> {
    let mut response = Response::new(Body::from(body(reason, message)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds(after)));
    response
}

/// The same for a connection on which no request was read.
pub(crate) fn written(reason: &str, message: &str, after: Duration) -> String {
    let (body, seconds) = (body(reason, message), seconds(after));
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: \
         {seconds}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn body(reason: &str, message: &str) -> String {
    json!({ "error": { "code": 503, "slug": reason, "message": message } }).to_string()
}

/// Whole seconds, rounded up: who comes back too early is refused again.
pub(crate) fn seconds(after: Duration) -> u32 {
    let seconds = after.as_millis().div_ceil(1000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

//! The chat page's files.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chinwag_web::{Asset, HEADERS};

/// A file, or that the reader's copy is still the same.
pub(crate) fn answer(file: Asset, asked: &HeaderMap) -> Response {
    let known = is_known(asked, &file.etag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.body).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if !known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    }
    if let Ok(etag) = HeaderValue::from_maybe_shared(file.etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// Whether the reader says that it has this version.
fn is_known(asked: &HeaderMap, etag: &[u8]) -> bool {
    let values = asked.get_all(IF_NONE_MATCH).iter();
    let mut tags = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tags.any(|tag| {
        let tag = tag.trim_ascii();
        // A proxy that compresses makes a tag weak; the file is the same.
        tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag
    })
}

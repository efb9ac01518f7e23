//! What a request brings: a JSON body, or a query.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::limit::FRAME_BYTES;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::verbs::request;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body; an empty one is `{}`.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let is_json = is_json(request.headers());
        let bytes = read(request, FRAME_BYTES).await?;
        if !bytes.is_empty() && !is_json {
            let message = "content-type: must be application/json";
            let refusal = Refusal::new(Code::BadRequest, message);
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Failure::from(refusal).with_status(status));
        }
        Ok(Self(request::parse(&bytes)?))
    }
}

/// The whole body, if it is at most `most` bytes and not too slow.
pub(crate) async fn read(request: Request, most: usize) -> Result<Bytes, Failure> {
    let whole = Limited::new(request.into_body(), most).collect();
    let Ok(whole) = tokio::time::timeout(BODY_TIMEOUT, whole).await else {
        let refusal = Refusal::new(Code::BadRequest, "the body took too long to come");
        return Err(Failure::from(refusal).with_status(StatusCode::REQUEST_TIMEOUT));
    };
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body must be at most {most} bytes");
            Err(Refusal::new(Code::TooLarge, message).into())
        }
        Err(_) => Err(Refusal::new(Code::BadRequest, "the body ended early").into()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The query of the address.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(misfit(&rejection).into()),
        }
    }
}

fn misfit(rejection: &QueryRejection) -> Refusal {
    let text = rejection.body_text();
    let text = text
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(&text);
    match text.split_once(": ") {
        Some((field, problem)) => request::misfit(field, problem),
        None => request::misfit("", text),
    }
}

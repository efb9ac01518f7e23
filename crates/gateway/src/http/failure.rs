//! What goes wrong, as an answer: the one place where a refusal becomes a status and a body.

use std::time::Duration;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::limit::Violation;
use serde::Serialize;

use crate::backend::refusal;
use crate::password::Limited;
use crate::token::TokenError;

/// When to try again if nobody knows better.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// A refusal over HTTP.
#[derive(Debug, Clone)]
pub struct Failure {
    refusal: Refusal,
    retry_after: Duration,
    /// Where HTTP has a status that no code of ours stands for.
    status: Option<StatusCode>,
}

/// What a handler gives.
pub type Answer<T> = Result<T, Failure>;

#[derive(Serialize)]
struct Body<'a> {
    error: Shown<'a>,
}

#[derive(Serialize)]
struct Shown<'a> {
    code: u32,
    slug: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

impl Failure {
    /// The same with another status than the code's.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// What it means.
    #[must_use]
    pub fn code(&self) -> Code {
        self.refusal.code
    }

    /// The answer.
    #[must_use]
    pub fn into_answer(self) -> Response {
        let code = self.refusal.code;
        let by_code = StatusCode::from_u16(code.status());
        let status = self.status.or(by_code.ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = Shown {
            code: code.number(),
            slug: code.slug(),
            message: &self.refusal.message,
            field: self.refusal.field,
        };
        let mut response = (status, Json(Body { error })).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let seconds = crate::busy::seconds(self.retry_after);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.into_answer()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            retry_after: RETRY_SOON,
            status: None,
        }
    }
}

impl From<Limited> for Failure {
    fn from(limited: Limited) -> Self {
        Self {
            refusal: limited.refusal,
            retry_after: limited.retry_after,
            status: None,
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Refusal::from(violation).into()
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<chinwag_store::Error> for Failure {
    fn from(error: chinwag_store::Error) -> Self {
        refusal(&error).into()
    }
}

//! Who asks.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;

use super::Http;
use super::failure::Failure;
use crate::token::{self, Caller};

/// Somebody who has shown a valid token: `Authorization: Bearer <token>`.
pub(crate) struct Signed {
    pub caller: Caller,
    /// Who it is.
    pub user: UserId,
}

impl FromRequestParts<Http> for Signed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Failure> {
        let missing = || Refusal::new(Code::Unauthorized, "a token is needed: log in first");
        let token = bearer(&parts.headers).ok_or_else(missing)?;
        let caller = token::authenticate(&http.backend, token).await?;
        let user = caller.user()?.clone();
        http.visits.admit(&user)?;
        Ok(Self { caller, user })
    }
}

impl Signed {
    /// The digest of the token of ours that was shown.
    ///
    /// # Errors
    /// `PermissionDenied` for users of the host's, who have neither sessions nor passwords here.
    pub fn digest(&self) -> Result<&str, Failure> {
        let message = "this token is not chinwag's own: its issuer is in charge of it";
        let refusal = || Refusal::new(Code::PermissionDenied, message);
        Ok(self.caller.digest.as_deref().ok_or_else(refusal)?)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

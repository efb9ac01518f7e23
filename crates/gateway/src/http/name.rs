//! Names in paths, percent-decoded and checked.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::{RoomId, UserId};

use super::failure::Failure;

/// The room that the path names.
pub(crate) struct InRoom(pub RoomId);

/// The user whom the path names.
pub(crate) struct OfUser(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for InRoom {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(RoomId::new(named(parts, state).await?)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfUser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(UserId::new(named(parts, state).await?)?))
    }
}

async fn named<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Failure> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    let not_utf8 = |_| Refusal::new(Code::BadRequest, "the path must be UTF-8");
    let Path(name) = path.map_err(not_utf8)?;
    Ok(name)
}

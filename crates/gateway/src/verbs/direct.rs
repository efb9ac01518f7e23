//! Direct rooms: one for each pair of users, the same whoever begins.

use chinwag_protocol::code::Refusal;
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::limit::Violation;
use serde::Deserialize;

use super::room::RoomResponse;
use super::{user, view};
use crate::backend::Backend;
use crate::token::Caller;

/// `direct.open`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// With whom.
    pub user: UserId,
}

/// Shows the direct room with a user. It comes to be with its first message, so that nobody sees
/// a conversation in which nothing was said.
///
/// # Errors
/// `NotFound` if there is no such user, `BadRequest` if it is the caller.
pub async fn open(
    backend: &Backend,
    caller: &Caller,
    request: OpenRequest,
) -> Result<RoomResponse, Refusal> {
    let me = caller.user()?;
    if request.user == *me {
        return Err(Violation::new("user", "must be somebody else").into());
    }
    user::find(backend, &request.user).await?;
    let room = view::one(backend, me, &RoomId::direct(me, &request.user)).await?;
    Ok(RoomResponse { room })
}

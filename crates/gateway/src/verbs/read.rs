//! Read marks: how far a member has read.

use chinwag_protocol::code::Refusal;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::json::Json;
use chinwag_store::channel::Signal;
use serde::{Deserialize, Serialize};

use super::{access, request};
use crate::backend::{Backend, archive_refusal, refusal};
use crate::token::Caller;

/// `read.mark`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// Where.
    pub room: RoomId,
    /// Up to which event; beyond the last one is the last one, and back is nowhere.
    pub seq: u64,
}

/// Where the mark stands.
#[derive(Debug, Serialize)]
pub struct MarkResponse {
    /// Up to which event the caller has read.
    pub seq: u64,
    /// How many messages came after it.
    pub unread: u64,
}

/// What the user's other sessions hear.
#[derive(Serialize)]
struct Told<'a> {
    r#type: &'static str,
    room: &'a RoomId,
    seq: u64,
    unread: u64,
}

/// Moves the caller's read mark forward, and tells their other sessions.
///
/// # Errors
/// `NotFound` if the caller is no member or there is no such room.
pub async fn mark(
    backend: &Backend,
    caller: &Caller,
    request: MarkRequest,
) -> Result<MarkResponse, Refusal> {
    let user = caller.user()?;
    let seq = request::sequence("seq", request.seq, 0)?;
    let room = request.room;
    access::policy(backend, &room, user)?;
    let cursor = backend.store.mark_read(&room, user, seq).await;
    let Some(cursor) = cursor.map_err(|error| refusal(&error))? else {
        access::unbegun_peer(backend, &room, user).await?;
        return Ok(MarkResponse { seq: 0, unread: 0 });
    };
    let unread = unread(
        backend,
        &room,
        cursor.messages,
        cursor.messages_read,
        cursor.seq,
    )
    .await?;
    let told = Json::of(&Told {
        r#type: "read",
        room: &room,
        seq: cursor.seq,
        unread,
    });
    let signal = Signal::Data(told.as_bytes().to_vec());
    let personal = RoomId::personal(user);
    // The mark is set: whether others hear of it is no reason to say that it is not.
    if let Err(error) = backend.store.signal(&personal, &signal).await {
        tracing::warn!(%error, "a read mark cannot be told to other sessions");
    }
    Ok(MarkResponse {
        seq: cursor.seq,
        unread,
    })
}

/// How many messages came after `seq`: those of the room less those up to it, which Redis knows
/// (`messages_read`) or else the archive.
pub(crate) async fn unread(
    backend: &Backend,
    room: &RoomId,
    messages: u64,
    messages_read: Option<u64>,
    seq: u64,
) -> Result<u64, Refusal> {
    let messages_read = match messages_read {
        Some(messages_read) => messages_read,
        None => {
            let archived = backend.archive.messages_at(room, seq).await;
            archived
                .map_err(|error| archive_refusal(&error))?
                .unwrap_or(0)
        }
    };
    Ok(messages.saturating_sub(messages_read))
}

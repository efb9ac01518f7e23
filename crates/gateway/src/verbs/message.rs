//! Sending messages.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Content;
use chinwag_protocol::id::{ClientId, MessageId, RoomId};
use chinwag_protocol::json::Json;
use chinwag_protocol::limit::{self, Violation};
use chinwag_protocol::position::epoch_text;
use chinwag_store::append::Draft;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{access, room};
use crate::backend::{Backend, Sent};
use crate::token::Caller;

/// `message.send`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// Where to.
    pub room: RoomId,
    /// The sender's name for it: sent again under the same name, it is the same message. One is
    /// made if absent.
    pub id: Option<MessageId>,
    /// Any JSON, at most 32 KiB.
    pub body: Json,
    /// How safe it is to be before it is answered; the room's level if absent, or else the
    /// server's.
    pub ack: Option<String>,
    /// The name of the sender's message before it, without which it is not to be taken. A sender who
    /// names it keeps their order even if Redis has lost what it acknowledged.
    pub after: Option<MessageId>,
}

/// Where a message stands now.
#[derive(Debug, Serialize)]
pub struct SendResponse {
    /// Its name.
    pub id: MessageId,
    /// Its sequence in the room.
    pub seq: u64,
    /// The epoch of that sequence.
    pub epoch: String,
    /// Its time, in milliseconds since 1970.
    pub time: u64,
    /// How safe it is: `accepted` is in Redis, `replicated` in replicas of it too, `archived` in
    /// the archive. It may be less than was wanted, if that took too long.
    pub durability: &'static str,
    /// Whether it was there already, under this name.
    pub duplicate: bool,
}

/// Sends a message. It has its turn in the queue before this first waits for anything.
///
/// # Errors
/// `NotFound` if the caller may not write there or there is no such room, `TooLarge`,
/// `PermissionDenied` in channels whose subscribers may not publish, `Conflict` if the message that
/// it follows is not there.
pub async fn send(
    backend: &Backend,
    caller: &Caller,
    client: Option<&ClientId>,
    request: SendRequest,
) -> Result<SendResponse, Refusal> {
    let (id, room) = (request.id.clone(), request.room.clone());
    let id = match id {
        Some(id) => id,
        None => MessageId::new(Uuid::now_v7().to_string())?,
    };
    let ack = request.ack.as_deref().map(Ack::named).transpose()?;
    let draft = draft(backend, caller, client, id.clone(), request)?;
    let sent = backend.append(draft.clone()).await?;
    show_at_once(backend, &room, &sent).await;
    let wanted = ack.or(sent.receipt.room_ack).unwrap_or(backend.config.ack);
    let (sent, reached) = backend.acknowledge(&draft, sent, wanted).await?;
    let position = sent.receipt.position;
    Ok(SendResponse {
        id,
        seq: position.seq,
        epoch: epoch_text(position.epoch),
        time: sent.receipt.time,
        durability: reached.name(),
        duplicate: sent.repeated,
    })
}

fn draft(
    backend: &Backend,
    caller: &Caller,
    client: Option<&ClientId>,
    id: MessageId,
    request: SendRequest,
) -> Result<Draft, Refusal> {
    let user = caller.user()?;
    let SendRequest {
        room, body, after, ..
    } = request;
    if after.as_ref() == Some(&id) {
        return Err(Violation::new("after", "must be the id of another message").into());
    }
    if body.as_bytes().len() > limit::BODY_BYTES {
        let (most, got) = (limit::BODY_BYTES, body.as_bytes().len());
        return Err(Refusal {
            code: Code::TooLarge,
            message: format!("body: must be at most {most} bytes, got {got}"),
            field: Some("body"),
        });
    }
    let policy = access::policy(backend, &room, user)?;
    if !policy.members_only && (!policy.publish || policy.token_required) {
        let message = "this channel is not for writing";
        return Err(Refusal::new(Code::PermissionDenied, message));
    }
    metrics::counter!("chinwag_gateway_messages_in_total").increment(1);
    let sender = Some(user.clone());
    let content = Content::Message { body };
    let mut draft = Draft::new(room, policy.rules(), sender, client, Some(id), &content);
    draft.after = after;
    Ok(draft)
}

/// A direct room comes to be with its first message: then both find it in their lists at once.
/// The fan-out workers do the same, a moment later.
async fn show_at_once(backend: &Backend, room: &RoomId, sent: &Sent) {
    if sent.receipt.messages == 1
        && let Some((low, high)) = room.direct_pair()
    {
        Box::pin(room::show(backend, room, &[low, high], sent.receipt.time)).await;
    }
}

//! What users can do, whether they ask over a socket (`rpc`) or over HTTP.
//!
//! A verb takes the backend, the caller and a request, and gives a response or a refusal that the
//! caller may read. Each file holds one noun; `call` knows their names.

pub mod request;

pub mod direct;
pub mod member;
pub mod message;
pub mod page;
pub mod read;
pub mod room;
pub mod user;

mod access;
mod cursor;
mod merge;
mod view;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::ClientId;
use chinwag_protocol::json::Json;
use serde::Serialize;

use crate::backend::Backend;
use crate::token::Caller;

/// Runs the method of this name with `data` (JSON; empty is `{}`) as its request.
///
/// A message is checked and has its turn in the partition's queue at the first poll of this
/// future: whoever polls each of several calls once, in their order, keeps their messages in that
/// order.
///
/// # Errors
/// `NotAvailable` if there is no such method; else what the verb says.
pub async fn call(
    backend: &Backend,
    caller: &Caller,
    client: Option<&ClientId>,
    method: &str,
    data: &[u8],
) -> Result<Json, Refusal> {
    match method {
        "message.send" => {
            answer(message::send(backend, caller, client, request::parse(data)?).await)
        }
        // Apart, so that a message does not take the room of the largest verb while it waits.
        _ => Box::pin(other(backend, caller, method, data)).await,
    }
}

async fn other(
    backend: &Backend,
    caller: &Caller,
    method: &str,
    data: &[u8],
) -> Result<Json, Refusal> {
    match method {
        "message.page" => answer(page::page(backend, caller, request::parse(data)?).await),
        "read.mark" => answer(read::mark(backend, caller, request::parse(data)?).await),
        "room.create" => answer(room::create(backend, caller, request::parse(data)?).await),
        "room.list" => answer(room::list(backend, caller, request::parse(data)?).await),
        "room.get" => answer(room::get(backend, caller, request::parse(data)?).await),
        "room.join" => answer(member::join(backend, caller, request::parse(data)?).await),
        "room.leave" => answer(member::leave(backend, caller, request::parse(data)?).await),
        "room.invite" => answer(member::invite(backend, caller, request::parse(data)?).await),
        "room.members" => answer(member::list(backend, caller, request::parse(data)?).await),
        "direct.open" => answer(direct::open(backend, caller, request::parse(data)?).await),
        "user.get" => answer(user::get(backend, caller, request::parse(data)?).await),
        _ => Err(Refusal::new(Code::NotAvailable, "no such method")),
    }
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Result<Json, Refusal> {
    result.map(|response| Json::of(&response))
}

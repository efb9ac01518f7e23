//! `/v1/rooms/{room}/messages`, and how far one has read them.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use chinwag_protocol::id::MessageId;
use serde::Deserialize;

use super::Http;
use super::body::{Asked, Body};
use super::caller::Signed;
use super::failure::Answer;
use super::name::InRoom;
use crate::verbs::message::{self, SendRequest, SendResponse};
use crate::verbs::page::{self, PageRequest, PageResponse};
use crate::verbs::read::{self, MarkRequest, MarkResponse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    id: Option<MessageId>,
    body: chinwag_protocol::json::Json,
    ack: Option<String>,
    after: Option<MessageId>,
}

/// Sends a message.
pub(crate) async fn send(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
    Body(message): Body<Message>,
) -> Answer<Json<SendResponse>> {
    let Message {
        id,
        body,
        ack,
        after,
    } = message;
    let request = SendRequest {
        room,
        id,
        body,
        ack,
        after,
    };
    let began = Instant::now();
    let sent = message::send(&http.backend, &signed.caller, None, request).await;
    metrics::histogram!("chinwag_gateway_append_seconds").record(began.elapsed());
    Ok(Json(sent?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
    limit: Option<u32>,
}

/// Reads history.
pub(crate) async fn page(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
    Asked(asked): Asked<Page>,
) -> Answer<Json<PageResponse>> {
    let request = PageRequest {
        room,
        before: asked.before,
        after: asked.after,
        around: asked.around,
        limit: asked.limit,
    };
    let events = page::page(&http.backend, &signed.caller, request).await?;
    Ok(Json(events))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    seq: u64,
}

/// Moves the caller's read mark.
pub(crate) async fn mark_read(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
    Body(Mark { seq }): Body<Mark>,
) -> Answer<Json<MarkResponse>> {
    let marked = read::mark(&http.backend, &signed.caller, MarkRequest { room, seq }).await?;
    Ok(Json(marked))
}

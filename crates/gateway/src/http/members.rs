//! `/v1/rooms/{room}/members`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chinwag_protocol::id::UserId;
use serde::Deserialize;

use super::Http;
use super::body::{Asked, Body};
use super::caller::Signed;
use super::failure::Answer;
use super::name::InRoom;
use crate::verbs::member::{self, InviteRequest, ListRequest, ListResponse};
use crate::verbs::room::RoomRequest;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<u32>,
    after: Option<UserId>,
}

/// Shows the members.
pub(crate) async fn list(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
    Asked(page): Asked<Page>,
) -> Answer<Json<ListResponse>> {
    let request = ListRequest {
        room,
        limit: page.limit,
        after: page.after,
    };
    let members = member::list(&http.backend, &signed.caller, request).await?;
    Ok(Json(members))
}

/// Who is to come in; nobody named is the caller.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newcomer {
    user: Option<UserId>,
}

/// Brings somebody into a room, or joins it.
pub(crate) async fn add(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
    Body(newcomer): Body<Newcomer>,
) -> Answer<Response> {
    let Some(user) = newcomer.user else {
        let joined = member::join(&http.backend, &signed.caller, RoomRequest { room }).await?;
        return Ok(Json(joined).into_response());
    };
    let request = InviteRequest { room, user };
    member::invite(&http.backend, &signed.caller, request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The caller goes.
pub(crate) async fn leave(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
) -> Answer<StatusCode> {
    member::leave(&http.backend, &signed.caller, RoomRequest { room }).await?;
    Ok(StatusCode::NO_CONTENT)
}

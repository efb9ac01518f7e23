//! `/v1/rooms`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Http;
use super::body::{Asked, Body};
use super::caller::Signed;
use super::failure::Answer;
use super::name::InRoom;
use crate::verbs::room::{
    self, CreateRequest, ListRequest, ListResponse, RoomRequest, RoomResponse,
};

/// Makes a room.
pub(crate) async fn create(
    State(http): State<Http>,
    signed: Signed,
    Body(request): Body<CreateRequest>,
) -> Answer<(StatusCode, Json<RoomResponse>)> {
    let made = room::create(&http.backend, &signed.caller, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Lists rooms.
pub(crate) async fn list(
    State(http): State<Http>,
    signed: Signed,
    Asked(request): Asked<ListRequest>,
) -> Answer<Json<ListResponse>> {
    let rooms = room::list(&http.backend, &signed.caller, request).await?;
    Ok(Json(rooms))
}

/// Shows a room.
pub(crate) async fn show(
    State(http): State<Http>,
    signed: Signed,
    InRoom(room): InRoom,
) -> Answer<Json<RoomResponse>> {
    let room = room::get(&http.backend, &signed.caller, RoomRequest { room }).await?;
    Ok(Json(room))
}

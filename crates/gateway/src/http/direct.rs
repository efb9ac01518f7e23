//! `/v1/direct`.

use axum::Json;
use axum::extract::State;

use super::Http;
use super::caller::Signed;
use super::failure::Answer;
use super::name::OfUser;
use crate::verbs::direct::{self, OpenRequest};
use crate::verbs::room::RoomResponse;

/// Shows the direct room with a user.
pub(crate) async fn open(
    State(http): State<Http>,
    signed: Signed,
    OfUser(user): OfUser,
) -> Answer<Json<RoomResponse>> {
    let room = direct::open(&http.backend, &signed.caller, OpenRequest { user }).await?;
    Ok(Json(room))
}

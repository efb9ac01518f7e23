//! `/v1/me`: the caller themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_store::channel::Order;
use serde::Deserialize;

use super::Http;
use super::address::ClientAddress;
use super::body::Body;
use super::caller::Signed;
use super::failure::Answer;
use crate::password;
use crate::verbs::user::{self, UserResponse};

/// Shows the caller.
pub(crate) async fn show(State(http): State<Http>, signed: Signed) -> Answer<Json<UserResponse>> {
    let user = user::find(&http.backend, &signed.user).await?;
    Ok(Json(UserResponse { user }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passwords {
    old_password: String,
    new_password: String,
}

/// Changes the password. All other tokens are dead, and their sockets are closed.
pub(crate) async fn change_password(
    State(http): State<Http>,
    ClientAddress(address): ClientAddress,
    signed: Signed,
    Body(passwords): Body<Passwords>,
) -> Answer<StatusCode> {
    let keep = signed.digest()?.to_owned();
    let (store, user) = (&http.backend.store, &signed.user);
    password::check("new_password", &passwords.new_password)?;
    let attempt = http.passwords.admit(address, Some(user))?;
    let stored = store.password(user).await?;
    let verified = http
        .passwords
        .verify(passwords.old_password, stored.as_deref());
    let (true, Some(stored)) = (verified.await?, stored) else {
        return Err(wrong().into());
    };
    attempt.succeeded();
    let hash = http.passwords.hash(passwords.new_password).await?;
    if !store.change_password(user, &stored, &hash, &keep).await? {
        // Somebody else was faster: the old password is not the old one any more.
        return Err(wrong().into());
    }
    let order = Order::Revoke {
        user: user.clone(),
        digest: None,
        except: Some(keep),
    };
    store.order(&order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Not a 401: the token is good, and a client must not forget it.
fn wrong() -> Refusal {
    Refusal {
        code: Code::PermissionDenied,
        message: "old_password: is wrong".to_owned(),
        field: Some("old_password"),
    }
}

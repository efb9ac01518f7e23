//! `/v1/users`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;
use chinwag_protocol::limit::{self, DISPLAY_NAME_CHARACTERS};
use chinwag_store::user::Profile;
use serde::Deserialize;

use super::Http;
use super::address::ClientAddress;
use super::body::Body;
use super::caller::Signed;
use super::failure::{Answer, Failure};
use super::name::OfUser;
use super::sessions::{self, Session};
use crate::password;
use crate::verbs::user::{self, GetRequest, UserResponse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    name: String,
    display_name: Option<String>,
    password: String,
}

/// Makes an account and logs in.
pub(crate) async fn register(
    State(http): State<Http>,
    ClientAddress(address): ClientAddress,
    Body(account): Body<Account>,
) -> Answer<(StatusCode, Json<Session>)> {
    if !http.backend.config.registration_open {
        return Err(Refusal::new(Code::PermissionDenied, "registration is closed").into());
    }
    let user = UserId::registered(&account.name)?;
    let shown = account.display_name.as_deref().unwrap_or(&account.name);
    let display_name = limit::text("display_name", shown, 1, DISPLAY_NAME_CHARACTERS)?;
    password::check("password", &account.password)?;
    // Never given back: to register many is what is limited here.
    let _attempt = http.passwords.admit(address, None)?;
    if http.backend.store.user(&user).await?.is_some() {
        return Err(taken(&user));
    }
    let hash = http.passwords.hash(account.password).await?;
    let created = http.backend.store.now();
    let profile = Profile {
        display_name,
        created,
    };
    let made = http.backend.store.create_user(&user, &profile, Some(&hash));
    if !made.await? {
        return Err(taken(&user));
    }
    let session = sessions::issue(&http, &user, &hash).await?;
    Ok((StatusCode::CREATED, Json(session)))
}

fn taken(user: &UserId) -> Failure {
    Failure::from(Refusal {
        code: Code::Conflict,
        message: format!("name: {user} is taken"),
        field: Some("name"),
    })
}

/// Shows a user.
pub(crate) async fn show(
    State(http): State<Http>,
    signed: Signed,
    OfUser(user): OfUser,
) -> Answer<Json<UserResponse>> {
    let found = user::get(&http.backend, &signed.caller, GetRequest { user }).await?;
    Ok(Json(found))
}

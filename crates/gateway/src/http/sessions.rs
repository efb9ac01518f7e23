//! `/v1/sessions`: logging in and out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;
use chinwag_store::channel::Order;
use serde::{Deserialize, Serialize};

use super::Http;
use super::address::ClientAddress;
use super::body::Body;
use super::caller::Signed;
use super::failure::{Answer, Failure};
use crate::token::own::Token;
use crate::verbs::user::{self, UserView};

/// Somebody is logged in.
#[derive(Serialize)]
pub(crate) struct Session {
    user: UserView,
    token: String,
    /// Milliseconds since 1970.
    expires_at: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// Logs in. An unknown user and a wrong password take the same way through here: one read, one
/// verification, one answer.
pub(crate) async fn begin(
    State(http): State<Http>,
    ClientAddress(address): ClientAddress,
    Body(credentials): Body<Credentials>,
) -> Answer<(StatusCode, Json<Session>)> {
    let logged_in = log_in(&http, address, credentials).await;
    let result = match &logged_in {
        Ok(_) => "ok",
        Err(failure) => match failure.code() {
            Code::Unauthorized => "wrong",
            Code::TooManyRequests => "limited",
            _ => "failed",
        },
    };
    metrics::counter!("chinwag_gateway_logins_total", "result" => result).increment(1);
    Ok((StatusCode::CREATED, Json(logged_in?)))
}

async fn log_in(
    http: &Http,
    address: Option<std::net::IpAddr>,
    credentials: Credentials,
) -> Answer<Session> {
    // A name that nobody can have is an unknown one.
    let user = UserId::registered(&credentials.name).ok();
    let attempt = http.passwords.admit(address, user.as_ref())?;
    let stored = match &user {
        Some(user) => http.backend.store.password(user).await?,
        None => None,
    };
    let verified = http
        .passwords
        .verify(credentials.password, stored.as_deref());
    let (true, Some(user), Some(stored)) = (verified.await?, user, stored) else {
        return Err(wrong());
    };
    attempt.succeeded();
    issue(http, &user, &stored).await
}

fn wrong() -> Failure {
    Refusal::new(Code::Unauthorized, "the name or the password is wrong").into()
}

/// Makes a token for a user whose password hash was verified to be `verified`.
pub(crate) async fn issue(http: &Http, user: &UserId, verified: &str) -> Answer<Session> {
    let store = &http.backend.store;
    let broken = || Refusal::new(Code::Internal, "internal error");
    let token = Token::new(user.clone()).ok_or_else(broken)?;
    let lifetime = http.backend.config.token_lifetime.as_millis();
    let lifetime = u64::try_from(lifetime).unwrap_or(u64::MAX);
    let expires_at = store.now().saturating_add(lifetime);
    let digest = token.digest();
    if !store.add_token(user, verified, &digest, expires_at).await? {
        return Err(wrong());
    }
    Ok(Session {
        user: user::find(&http.backend, user).await?,
        token: token.text(),
        expires_at,
    })
}

/// Logs out: the token is dead, and the sockets that were opened with it are closed.
pub(crate) async fn end(State(http): State<Http>, signed: Signed) -> Answer<StatusCode> {
    let digest = signed.digest()?.to_owned();
    let store = &http.backend.store;
    store.drop_token(&signed.user, &digest).await?;
    let order = Order::Revoke {
        user: signed.user,
        digest: Some(digest),
        except: None,
    };
    store.order(&order).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Who a caller is: what a token proves.
//!
//! Two kinds of token let somebody in: our own, which are random and can be taken back, and
//! those of a host that has users of its own (JWT), which are good until they expire.

pub mod foreign;
pub mod own;
mod provider;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_store::Store;
use chinwag_store::user::Profile;
use thiserror::Error;

use crate::backend::Backend;
use crate::config::Config;

/// Somebody who has shown a valid token, or nobody in particular.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who; `None` for an anonymous connection.
    pub user: Option<UserId>,
    /// The digest of our own token that was shown; `None` for foreign ones. By this digest
    /// [`Order::Revoke`](chinwag_store::channel::Order::Revoke) names the connections to close.
    pub digest: Option<String>,
    /// Until when the token is good, in milliseconds since 1970; `None` if it has no end.
    pub expires_at: Option<u64>,
    /// What the token says of the connection, for others to see.
    pub info: Option<Json>,
}

impl Caller {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Who it is.
    ///
    /// # Errors
    /// `Unauthorized` for an anonymous caller.
    pub fn user(&self) -> Result<&UserId, Refusal> {
        let refusal = || Refusal::new(Code::Unauthorized, "log in first");
        self.user.as_ref().ok_or_else(refusal)
    }
}

/// Why a token lets nobody in; each variant is another next move of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Log in again.
    #[error("the token is not valid")]
    Invalid,
    /// Get another token.
    #[error("the token has expired")]
    Expired,
    /// Try again with the same token: whether it is good cannot be found out now.
    #[error("the token cannot be checked now; try again")]
    Unavailable,
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid => Code::Unauthorized,
            TokenError::Expired => Code::TokenExpired,
            TokenError::Unavailable => Code::Unavailable,
        };
        Refusal::new(code, error.to_string())
    }
}

/// What a subscription token grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Until when, in milliseconds since 1970; `None` if it has no end.
    pub expires_at: Option<u64>,
    /// What the token says of the subscription, for others to see.
    pub info: Option<Json>,
}

/// Finds out who shows a token. A user of the host's who comes for the first time gets a profile,
/// so that others can see them and write to them.
///
/// # Errors
/// See [`TokenError`].
pub async fn authenticate(backend: &Backend, token: &str) -> Result<Caller, TokenError> {
    if let Some(token) = own::Token::parse(token) {
        return own_caller(backend, token).await;
    }
    let foreign = foreign::verify(backend.config.hmac_secret.as_ref(), token)?;
    let introduced = introduce(&backend.store, &foreign.user).await;
    introduced.map_err(|error| unavailable(&error))?;
    Ok(Caller {
        user: Some(foreign.user),
        digest: None,
        expires_at: foreign.expires_at,
        info: foreign.info,
    })
}

/// Checks a token that grants one subscription: `sub` must be the caller and `channel` the room.
///
/// # Errors
/// `Invalid` or `Expired`.
pub fn authorize(
    config: &Config,
    token: &str,
    caller: &Caller,
    room: &RoomId,
) -> Result<Grant, TokenError> {
    foreign::verify_subscription(
        config.hmac_secret.as_ref(),
        token,
        caller.user.as_ref(),
        room,
    )
}

async fn own_caller(backend: &Backend, token: own::Token) -> Result<Caller, TokenError> {
    let digest = token.digest();
    let expiry = backend.store.token_expiry(&token.user, &digest).await;
    let expiry = expiry.map_err(|error| unavailable(&error))?;
    let expires_at = expiry.ok_or(TokenError::Invalid)?;
    if expires_at <= backend.store.now() {
        return Err(TokenError::Expired);
    }
    Ok(Caller {
        user: Some(token.user),
        digest: Some(digest),
        expires_at: Some(expires_at),
        info: None,
    })
}

/// Makes a profile for a user of the host's who has none.
pub(crate) async fn introduce(store: &Store, user: &UserId) -> chinwag_store::Result<()> {
    if store.user(user).await?.is_some() {
        return Ok(());
    }
    let profile = Profile {
        display_name: user.to_string(),
        created: store.now(),
    };
    store.create_user(user, &profile, None).await.map(drop)
}

fn unavailable(error: &chinwag_store::Error) -> TokenError {
    tracing::warn!(%error, "a token cannot be checked");
    TokenError::Unavailable
}

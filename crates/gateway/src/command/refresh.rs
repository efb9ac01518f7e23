//! `refresh` and `sub_refresh`: a new token for what goes on.

use chinwag_protocol::code::{Close, Code, Refusal};
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::{RefreshRequest, SubRefreshRequest};
use chinwag_protocol::result::{RefreshResult, SubRefreshResult};

use crate::command::{Asked, channel_named, ttl};
use crate::token::{self, TokenError};

/// The connection's token. Another user's ends the connection.
pub(crate) async fn connection(asked: Asked, request: RefreshRequest) -> Result<(), Close> {
    let backend = &asked.shard.backend;
    match token::authenticate(backend, &request.token).await {
        Ok(caller) if caller.user == asked.connection.user() => {
            let expires = caller.expires_at.filter(|_| caller.digest.is_none());
            asked.connection.set_caller(caller);
            let result = RefreshResult {
                client: asked.connection.client.to_string(),
                expires: expires.is_some(),
                ttl: expires.map_or(0, |at| ttl(at, backend.store.now())),
                ..RefreshResult::default()
            };
            asked.answer(Ok(Outcome::Refresh(result)));
            Ok(())
        }
        Ok(_) | Err(TokenError::Invalid) => Err(Close::InvalidToken),
        Err(TokenError::Expired) => {
            asked.answer(Err(Refusal::new(
                Code::TokenExpired,
                "the token has expired",
            )));
            Ok(())
        }
        Err(TokenError::Unavailable) => {
            let message = "the store cannot be reached; try again";
            asked.answer(Err(Refusal::new(Code::Unavailable, message)));
            Ok(())
        }
    }
}

/// A subscription's token.
pub(crate) fn subscription(asked: &Asked, request: &SubRefreshRequest) {
    asked.answer(refreshed(asked, request).map(Outcome::SubRefresh));
}

fn refreshed(asked: &Asked, request: &SubRefreshRequest) -> Result<SubRefreshResult, Refusal> {
    let room = channel_named(&request.channel)?;
    let backend = &asked.shard.backend;
    let denied = || Refusal::new(Code::PermissionDenied, "permission denied");
    let caller = asked.connection.caller().ok_or_else(denied)?;
    let granted = token::authorize(&backend.config, &request.token, &caller, &room);
    let granted = granted.map_err(|error| match error {
        TokenError::Expired => Refusal::new(Code::TokenExpired, "token expired"),
        TokenError::Invalid | TokenError::Unavailable => denied(),
    })?;
    let mut subscriptions = asked.connection.subscriptions.borrow_mut();
    let subscription = subscriptions.get_mut(&room).ok_or_else(denied)?;
    subscription.expires_at = granted.expires_at;
    let ttl = granted.expires_at.map(|at| ttl(at, backend.store.now()));
    Ok(SubRefreshResult {
        expires: ttl.is_some(),
        ttl: ttl.unwrap_or(0),
    })
}

//! What a caller may do in a channel: one question, one answer that the rest takes as given.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::RoomId;

use crate::backend::Backend;
use crate::config::Policy;
use crate::token::{self, Caller, TokenError};

/// That a caller may be in a channel, and under which policy.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub policy: Policy,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// What the subscription token says, JSON.
    pub info: Option<Vec<u8>>,
}

/// The answer for what is not for the caller and for what does not exist.
fn denied() -> Refusal {
    Refusal::new(Code::PermissionDenied, "permission denied")
}

/// The policy of a channel's namespace.
pub(crate) fn policy(backend: &Backend, room: &RoomId) -> Result<Policy, Refusal> {
    if room.personal_owner().is_some() && !backend.config.personal_channel {
        return Err(Refusal::new(
            Code::UnknownChannel,
            "personal channels are switched off",
        ));
    }
    let unknown = || Refusal::new(Code::UnknownChannel, "unknown channel namespace");
    backend.config.namespaces.policy(room).ok_or_else(unknown)
}

/// Whether a caller may be in a channel, by who they are and by the token they bring for it
/// (empty if none).
pub(crate) async fn to(
    backend: &Backend,
    caller: &Caller,
    room: &RoomId,
    subscription_token: &str,
) -> Result<Access, Refusal> {
    let policy = policy(backend, room)?;
    let mut access = Access {
        policy,
        expires_at: None,
        info: None,
    };
    if let Some(owner) = room.personal_owner() {
        let own = caller
            .user
            .as_ref()
            .is_some_and(|user| user.as_str() == owner);
        return if own { Ok(access) } else { Err(denied()) };
    }
    if policy.members_only {
        let user = caller.user.as_ref().ok_or_else(denied)?;
        let membership = backend.membership(room, user).await?;
        membership.ok_or_else(denied)?;
    }
    if policy.token_required || !subscription_token.is_empty() {
        let granted = token::authorize(&backend.config, subscription_token, caller, room);
        let granted = granted.map_err(|error| match error {
            TokenError::Expired => Refusal::new(Code::TokenExpired, "token expired"),
            TokenError::Invalid | TokenError::Unavailable => denied(),
        })?;
        access.expires_at = granted.expires_at;
        access.info = granted.info.map(|info| info.as_bytes().to_vec());
    }
    Ok(access)
}

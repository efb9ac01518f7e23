//! Users, as others see them.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;
use chinwag_store::user::User;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, refusal};
use crate::token::Caller;

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserView {
    /// The id.
    pub id: UserId,
    /// The name that people see.
    pub name: String,
    /// Whether they have a live session.
    pub online: bool,
    /// When they last came or went, in milliseconds since 1970; null if never.
    pub last_seen: Option<u64>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.profile.display_name,
            online: user.online,
            last_seen: user.last_seen,
        }
    }
}

impl UserView {
    /// A member without a profile, which only an emptied user store leaves behind.
    pub(crate) fn unknown(id: UserId) -> Self {
        let name = id.to_string();
        Self {
            id,
            name,
            online: false,
            last_seen: None,
        }
    }
}

/// `user.get`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// Whom.
    pub user: UserId,
}

/// One user.
#[derive(Debug, Serialize)]
pub struct UserResponse {
    /// Who.
    pub user: UserView,
}

/// Shows a user.
///
/// # Errors
/// `NotFound` if there is no such user.
pub async fn get(
    backend: &Backend,
    caller: &Caller,
    request: GetRequest,
) -> Result<UserResponse, Refusal> {
    caller.user()?;
    let user = find(backend, &request.user).await?;
    Ok(UserResponse { user })
}

/// A user who exists.
pub(crate) async fn find(backend: &Backend, user: &UserId) -> Result<UserView, Refusal> {
    let found = backend.store.user(user).await;
    match found.map_err(|error| refusal(&error))? {
        Some(user) => Ok(user.into()),
        None => Err(no_such_user(user)),
    }
}

/// Names are no secret: whoever registers learns which are taken.
pub(crate) fn no_such_user(user: &UserId) -> Refusal {
    Refusal {
        code: Code::NotFound,
        message: format!("user {user} not found"),
        field: Some("user"),
    }
}

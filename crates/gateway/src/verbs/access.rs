//! Who may do what in a room. The answer to a question about rights is a value, which whoever
//! needs the right takes as an argument.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::{RoomId, UserId};

use crate::backend::{Backend, refusal};
use crate::config::Policy;

/// The namespace of direct rooms.
const DIRECT: &str = "dm";

/// The right to read what happened in a room.
pub(crate) struct Readable {
    pub room: RoomId,
    /// Whether the room may well be there: a direct room begins with its first message.
    pub begun: bool,
}

/// The policy of a room, if it is not plain from its name that the room is none of the user's
/// business: a personal channel is its owner's, a direct room its two users'. Asking nobody about
/// those, the answer takes as long whether they exist or not.
pub(crate) fn policy(backend: &Backend, room: &RoomId, user: &UserId) -> Result<Policy, Refusal> {
    let strange_owner = room
        .personal_owner()
        .is_some_and(|owner| owner != user.as_str());
    let strange_pair = room.namespace() == DIRECT && peer(room, user).is_none();
    if strange_owner || strange_pair {
        return Err(Refusal::no_such_room());
    }
    let policy = backend.config.namespaces.policy(room);
    policy.ok_or_else(Refusal::no_such_room)
}

/// Finds out whether the user may read a room's history.
pub(crate) async fn readable(
    backend: &Backend,
    room: &RoomId,
    user: &UserId,
) -> Result<Readable, Refusal> {
    let policy = policy(backend, room, user)?;
    let mut begun = true;
    if policy.members_only {
        let found = backend.membership(room, user).await?;
        if found.is_none() {
            unbegun_peer(backend, room, user).await?;
            begun = false;
        }
    } else if !policy.history || policy.token_required {
        let message = "the history of this channel is not for reading";
        return Err(Refusal::new(Code::PermissionDenied, message));
    }
    Ok(Readable {
        room: room.clone(),
        begun,
    })
}

/// The other user of a direct room, if `user` is one of its two.
pub(crate) fn peer(room: &RoomId, user: &UserId) -> Option<UserId> {
    let (low, high) = room.direct_pair()?;
    match (low == *user, high == *user) {
        (true, _) => Some(high),
        (_, true) => Some(low),
        _ => None,
    }
}

/// The other user of a direct room that has not begun: it is there for its two users, if both
/// exist.
///
/// # Errors
/// The answer for a room that does not exist.
pub(crate) async fn unbegun_peer(
    backend: &Backend,
    room: &RoomId,
    user: &UserId,
) -> Result<UserId, Refusal> {
    let peer = peer(room, user).ok_or_else(Refusal::no_such_room)?;
    let known = backend.store.user(&peer).await;
    match known.map_err(|error| refusal(&error))? {
        Some(_) => Ok(peer),
        None => Err(Refusal::no_such_room()),
    }
}

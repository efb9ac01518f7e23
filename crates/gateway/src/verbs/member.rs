//! Membership: who is in a room, coming in and going.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::{Change, Role};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_store::member::{Changed, Membership};
use serde::{Deserialize, Serialize};

use super::room::{self, RoomRequest, RoomResponse};
use super::user::{self, UserView};
use super::{access, request, view};
use crate::backend::{Backend, refusal};
use crate::token::Caller;

/// Members in a page, unless it is said how many.
const LIST_USUAL: usize = 100;
/// Most members in a page.
const LIST_MOST: usize = 250;

/// `room.invite`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// Into which room.
    pub room: RoomId,
    /// Whom.
    pub user: UserId,
}

/// `room.members`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Of which room.
    pub room: RoomId,
    /// How many at most: 1 to 250, 100 if absent.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<UserId>,
}

/// Done; there is nothing to say about it.
#[derive(Debug, Serialize)]
pub struct Done {}

/// A member of a room.
#[derive(Debug, Serialize)]
pub struct MemberView {
    /// Who.
    pub user: UserView,
    /// What they may do.
    pub role: Role,
    /// The event by which they came in.
    pub joined_seq: u64,
}

/// A page of members, by user id.
#[derive(Debug, Serialize)]
pub struct ListResponse {
    /// The members.
    pub members: Vec<MemberView>,
    /// What to ask for as `after` to get the next page; absent if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

/// Comes into an open room. Twice is the same as once.
///
/// # Errors
/// `NotFound` if there is no such room or it is not open.
pub async fn join(
    backend: &Backend,
    caller: &Caller,
    request: RoomRequest,
) -> Result<RoomResponse, Refusal> {
    let (me, room) = (caller.user()?, request.room);
    change(backend, &room, me, me, Change::Joined).await?;
    room::show(
        backend,
        &room,
        std::slice::from_ref(me),
        backend.store.now(),
    )
    .await;
    let room = view::one(backend, me, &room).await?;
    Ok(RoomResponse { room })
}

/// Goes out of a room.
///
/// # Errors
/// `NotFound` if the caller is no member; `PermissionDenied` for direct rooms.
pub async fn leave(
    backend: &Backend,
    caller: &Caller,
    request: RoomRequest,
) -> Result<Done, Refusal> {
    let (me, room) = (caller.user()?, request.room);
    change(backend, &room, me, me, Change::Left).await?;
    // Fan-out workers do the same from the log.
    if let Err(error) = backend.store.drop_room(&room, me).await {
        tracing::warn!(%error, "a room is taken out of a list later");
    }
    Ok(Done {})
}

/// Brings a user into a room as a member. Twice is the same as once.
///
/// # Errors
/// `NotFound` if the caller is no member or there is no such user; `PermissionDenied` for direct
/// rooms.
pub async fn invite(
    backend: &Backend,
    caller: &Caller,
    request: InviteRequest,
) -> Result<Done, Refusal> {
    let me = caller.user()?;
    let InviteRequest { room, user } = request;
    user::find(backend, &user).await?;
    change(backend, &room, me, &user, Change::Invited).await?;
    room::show(backend, &room, &[user], backend.store.now()).await;
    Ok(Done {})
}

async fn change(
    backend: &Backend,
    room: &RoomId,
    actor: &UserId,
    user: &UserId,
    change: Change,
) -> Result<(), Refusal> {
    access::policy(backend, room, actor)?;
    let partition = backend.store.keys().of_room(room);
    let operation = || backend.store.change_member(room, Some(actor), user, change);
    let mut changed = backend.fenced(partition, operation).await?;
    if changed == Changed::NoSuchRoom && backend.revived(room).await? {
        changed = backend.fenced(partition, operation).await?;
    }
    match changed {
        Changed::Done { .. } | Changed::Already => Ok(()),
        Changed::NoSuchRoom => Err(Refusal::no_such_room()),
        Changed::WrongKind => Err(Refusal::new(
            Code::PermissionDenied,
            "the members of this kind of room do not change",
        )),
    }
}

/// Shows a room's members, to its members.
///
/// # Errors
/// `NotFound` if the caller is no member.
pub async fn list(
    backend: &Backend,
    caller: &Caller,
    request: ListRequest,
) -> Result<ListResponse, Refusal> {
    let me = caller.user()?;
    let limit = request::limit(request.limit, LIST_USUAL, LIST_MOST)?;
    let after = request.after.as_ref();
    let mut members = members(backend, &request.room, me, after, limit + 1).await?;
    let more = members.len() > limit;
    members.truncate(limit);
    let next = members
        .last()
        .filter(|_| more)
        .map(|(user, _)| user.clone());
    let users: Vec<UserId> = members.iter().map(|(user, _)| user.clone()).collect();
    let found = backend.store.users(&users).await;
    let found = found.map_err(|error| refusal(&error))?;
    let members = members
        .into_iter()
        .zip(found)
        .map(|((id, membership), found)| MemberView {
            user: found.map_or_else(|| UserView::unknown(id), UserView::from),
            role: membership.role,
            joined_seq: membership.joined_seq,
        });
    Ok(ListResponse {
        members: members.collect(),
        next,
    })
}

/// At most `limit` of those who are in a room, by name. A direct room that has not begun has its two
/// users.
async fn members(
    backend: &Backend,
    room: &RoomId,
    me: &UserId,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<(UserId, Membership)>, Refusal> {
    let policy = access::policy(backend, room, me)?;
    if !policy.members_only {
        return Err(Refusal::no_such_room());
    }
    if backend.membership(room, me).await?.is_some() {
        let members = backend.store.members_page(room, after, limit).await;
        return members.map_err(|error| refusal(&error));
    }
    let peer = access::unbegun_peer(backend, room, me).await?;
    let mut pair = vec![me.clone(), peer];
    pair.sort_unstable();
    let membership = Membership {
        role: Role::Member,
        joined_seq: 0,
    };
    let behind = pair
        .into_iter()
        .filter(|user| after.is_none_or(|after| user > after));
    Ok(behind.map(|user| (user, membership)).take(limit).collect())
}

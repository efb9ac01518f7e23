//! Rooms as one user sees them.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::code::Refusal;
use chinwag_protocol::event::{Event, Kind, Role};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_protocol::position::epoch_text;
use chinwag_store::room::Overview;
use futures_util::future::try_join_all;
use serde::Serialize;

use super::user::{self, UserView};
use super::{access, read};
use crate::backend::{Backend, refusal};

/// A room as one user sees it.
#[derive(Debug, Serialize)]
pub struct RoomView {
    /// Its id, which is the channel to subscribe to.
    pub id: RoomId,
    /// Its kind.
    pub kind: Kind,
    /// Its name; empty for direct rooms and channels.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// How safe messages in it are before they are answered; absent if it has no rule of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
    /// The sequence of its last event.
    pub seq: u64,
    /// The epoch of that sequence.
    pub epoch: String,
    /// How many messages it has had.
    pub messages: u64,
    /// How many members it has.
    pub members: u64,
    /// What the user is in it; null for one who is no member.
    pub role: Option<Role>,
    /// Up to which event the user has read.
    pub read_seq: u64,
    /// How many messages came after that.
    pub unread: u64,
    /// The last event; null for one who may not read it, or if it is only in the archive.
    pub last: Option<Json>,
    /// The other user of a direct room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserView>,
}

/// Shows rooms to a member. Those of which the user is no member, or no longer, are left out.
pub(crate) async fn of_member(
    backend: &Backend,
    user: &UserId,
    rooms: &[RoomId],
) -> Result<Vec<RoomView>, Refusal> {
    let found = backend.store.overviews(rooms, user).await;
    let found = found.map_err(|error| refusal(&error))?.into_iter();
    let own = found.flatten().filter(|found| found.membership.is_some());
    let views = try_join_all(own.map(|found| inside(backend, found))).await?;
    with_peers(backend, user, views).await
}

/// Shows open rooms, also to those who are no members. Rooms of other kinds are left out.
pub(crate) async fn of_anyone(
    backend: &Backend,
    user: &UserId,
    rooms: &[RoomId],
) -> Result<Vec<RoomView>, Refusal> {
    let found = backend.store.overviews(rooms, user).await;
    let found = found.map_err(|error| refusal(&error))?.into_iter();
    let open = found.flatten().filter(|found| found.kind == Kind::Open);
    try_join_all(open.map(|found| open_room(backend, found))).await
}

/// Shows one room.
///
/// # Errors
/// `NotFound` if there is no such room or the user may not know of it.
pub(crate) async fn one(
    backend: &Backend,
    user: &UserId,
    room: &RoomId,
) -> Result<RoomView, Refusal> {
    let policy = access::policy(backend, room, user)?;
    let found = backend.store.overviews(std::slice::from_ref(room), user);
    let found = found.await.map_err(|error| refusal(&error))?;
    let mut found = found.into_iter().flatten().next();
    if found.is_none() && policy.members_only && backend.revived(room).await? {
        let again = backend.store.overviews(std::slice::from_ref(room), user);
        let again = again.await.map_err(|error| refusal(&error))?;
        found = again.into_iter().flatten().next();
    }
    if !policy.members_only {
        access::readable(backend, room, user).await?;
        return match found {
            Some(found) => inside(backend, found).await,
            None => unbegun(backend, room, Kind::Channel, 0, None).await,
        };
    }
    match found {
        Some(found) if found.membership.is_some() => {
            let view = inside(backend, found).await?;
            let views = with_peers(backend, user, vec![view]).await?;
            views.into_iter().next().ok_or_else(Refusal::no_such_room)
        }
        Some(found) if found.kind == Kind::Open => Ok(outside(found)),
        Some(_) => Err(Refusal::no_such_room()),
        None => {
            let peer = access::unbegun_peer(backend, room, user).await?;
            let peer = Some(user::find(backend, &peer).await?);
            unbegun(backend, room, Kind::Dm, 2, peer).await
        }
    }
}

async fn open_room(backend: &Backend, found: Overview) -> Result<RoomView, Refusal> {
    if found.membership.is_some() {
        inside(backend, found).await
    } else {
        Ok(outside(found))
    }
}

/// A room to one who may read it.
async fn inside(backend: &Backend, found: Overview) -> Result<RoomView, Refusal> {
    let mut unread = 0;
    if found.membership.is_some() {
        let (messages, messages_read) = (found.messages, found.messages_read);
        unread = read::unread(
            backend,
            &found.room,
            messages,
            messages_read,
            found.read_seq,
        )
        .await?;
    }
    let (read_seq, last) = (found.read_seq, found.last.as_ref().map(Event::to_json));
    Ok(RoomView {
        read_seq,
        unread,
        last,
        ..outside(found)
    })
}

/// A room to one who may know that it is there.
fn outside(found: Overview) -> RoomView {
    RoomView {
        id: found.room,
        kind: found.kind,
        name: found.name,
        topic: found.topic,
        ack: found.ack,
        seq: found.seq,
        epoch: epoch_text(found.epoch),
        messages: found.messages,
        members: found.members,
        role: found.membership.map(|membership| membership.role),
        read_seq: 0,
        unread: 0,
        last: None,
        peer: None,
    }
}

/// A room that comes to be with its first message.
async fn unbegun(
    backend: &Backend,
    room: &RoomId,
    kind: Kind,
    members: u64,
    peer: Option<UserView>,
) -> Result<RoomView, Refusal> {
    let partition = backend.store.keys().of_room(room);
    let epoch = backend.store.epoch(partition).await;
    Ok(RoomView {
        id: room.clone(),
        kind,
        name: String::new(),
        topic: String::new(),
        ack: None,
        seq: 0,
        epoch: epoch_text(epoch.map_err(|error| refusal(&error))?),
        messages: 0,
        members,
        role: peer.is_some().then_some(Role::Member),
        read_seq: 0,
        unread: 0,
        last: None,
        peer,
    })
}

/// Adds the other users of direct rooms.
async fn with_peers(
    backend: &Backend,
    user: &UserId,
    mut views: Vec<RoomView>,
) -> Result<Vec<RoomView>, Refusal> {
    let direct = |view: &RoomView| access::peer(&view.id, user).filter(|_| view.kind == Kind::Dm);
    let peers: Vec<UserId> = views.iter().filter_map(direct).collect();
    let found = backend.store.users(&peers).await;
    let found = found.map_err(|error| refusal(&error))?;
    let mut found = found.into_iter();
    for view in &mut views {
        if direct(view).is_some() {
            view.peer = found.next().flatten().map(UserView::from);
        }
    }
    Ok(views)
}

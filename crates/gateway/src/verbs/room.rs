//! Rooms: making them, and seeing them as the caller does.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::{Kind, Role};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::limit::{self, Violation};
use chinwag_store::room::NewRoom;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

pub use super::view::RoomView;

use super::cursor::Cursor;
use super::{request, user, view};
use crate::backend::{Backend, refusal};
use crate::token::Caller;

/// Most members that a room can begin with, besides its maker.
const FIRST_MEMBERS: usize = 100;
/// Rooms in a list, unless it is said how many.
const LIST_USUAL: usize = 50;
/// Most rooms in a list.
const LIST_MOST: usize = 200;

/// `room.create`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// What people call it: 1 to 80 characters.
    pub name: String,
    /// What it is about: at most 250 characters.
    #[serde(default)]
    pub topic: String,
    /// Who may come in.
    #[serde(default)]
    pub kind: CreateKind,
    /// Who is in it from the start, besides the caller: at most 100.
    #[serde(default)]
    pub members: Vec<UserId>,
    /// How safe messages in it are before they are answered, unless their senders ask for another
    /// level; the server's if absent.
    pub ack: Option<String>,
}

/// The kinds of room that people make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateKind {
    /// Entered by invitation.
    #[default]
    Group,
    /// Anyone may join.
    Open,
}

/// `room.get`, `room.join` and `room.leave`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomRequest {
    /// Which.
    pub room: RoomId,
}

/// `room.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Of which rooms.
    #[serde(default)]
    pub scope: Scope,
    /// How many at most: 1 to 200, 50 if absent.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub before: Option<String>,
}

/// Which rooms are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of which the caller is a member, the last active first.
    #[default]
    Mine,
    /// Those that anyone may join, the newest first.
    Open,
}

/// One room.
#[derive(Debug, Serialize)]
pub struct RoomResponse {
    /// The room.
    pub room: RoomView,
}

/// A page of rooms.
#[derive(Debug, Serialize)]
pub struct ListResponse {
    /// The rooms.
    pub rooms: Vec<RoomView>,
    /// What to ask for as `before` to get the next page; absent if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Makes a room, of which the caller is the owner.
///
/// # Errors
/// `BadRequest` naming the field; `NotFound` if one of the members does not exist.
pub async fn create(
    backend: &Backend,
    caller: &Caller,
    request: CreateRequest,
) -> Result<RoomResponse, Refusal> {
    let maker = caller.user()?;
    let name = limit::text("name", &request.name, 1, limit::ROOM_NAME_CHARACTERS)?;
    let topic = limit::text("topic", &request.topic, 0, limit::ROOM_TOPIC_CHARACTERS)?;
    let ack = request.ack.as_deref().map(Ack::named).transpose()?;
    let members = first_members(backend, maker, request.members).await?;
    let room = unguessable()?;
    let kind = match request.kind {
        CreateKind::Group => Kind::Group,
        CreateKind::Open => Kind::Open,
    };
    if kind == Kind::Open {
        // Before it is made: a listed room that never came to be is skipped, but a room that was
        // not listed would never be found.
        let listed = backend.store.list_open_room(&room).await;
        listed.map_err(|error| refusal(&error))?;
    }
    let new = NewRoom {
        room: room.clone(),
        kind,
        name,
        topic,
        creator: maker.clone(),
        members,
        ack,
    };
    backend.create_room(&new).await?;
    let users: Vec<UserId> = new.members.into_iter().map(|(user, _)| user).collect();
    show(backend, &room, &users, backend.store.now()).await;
    let room = view::one(backend, maker, &room).await?;
    Ok(RoomResponse { room })
}

/// The members that a room begins with, each once, its maker first.
async fn first_members(
    backend: &Backend,
    maker: &UserId,
    asked: Vec<UserId>,
) -> Result<Vec<(UserId, Role)>, Refusal> {
    if asked.len() > FIRST_MEMBERS {
        let problem = format!("must be at most {FIRST_MEMBERS}, got {}", asked.len());
        return Err(Violation::new("members", problem).into());
    }
    let mut others: Vec<UserId> = Vec::with_capacity(asked.len());
    for user in asked {
        if user != *maker && !others.contains(&user) {
            others.push(user);
        }
    }
    let found = backend.store.users(&others).await;
    let found = found.map_err(|error| refusal(&error))?;
    let missing = others.iter().zip(&found).find(|(_, found)| found.is_none());
    if let Some((missing, _)) = missing {
        let mut refusal = user::no_such_user(missing);
        refusal.field = Some("members");
        return Err(refusal);
    }
    let others = others.into_iter().map(|user| (user, Role::Member));
    Ok(std::iter::once((maker.clone(), Role::Owner))
        .chain(others)
        .collect())
}

fn unguessable() -> Result<RoomId, Refusal> {
    let mut random = [0; 16];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| Refusal::new(Code::Internal, "internal error"))?;
    Ok(RoomId::created(u128::from_be_bytes(random)))
}

/// Puts a room into users' lists at once, so that who has just come in finds it there. The
/// fan-out workers do the same from the log, so a failure here only delays it.
pub(crate) async fn show(backend: &Backend, room: &RoomId, users: &[UserId], time: u64) {
    if let Err(error) = backend.store.touch_rooms(room, users, time).await {
        tracing::warn!(%error, "a room is put into lists later");
    }
}

/// Lists rooms.
///
/// # Errors
/// `BadRequest` naming the field.
pub async fn list(
    backend: &Backend,
    caller: &Caller,
    request: ListRequest,
) -> Result<ListResponse, Refusal> {
    let user = caller.user()?;
    let limit = request::limit(request.limit, LIST_USUAL, LIST_MOST)?;
    let cursor = request.before.as_deref().map(Cursor::parse).transpose()?;
    let (listed, more) = listed(backend, user, request.scope, cursor.as_ref(), limit).await?;
    let next = listed.last().filter(|_| more).map(Cursor::of);
    let rooms: Vec<RoomId> = listed.into_iter().map(|(room, _)| room).collect();
    let rooms = match request.scope {
        Scope::Mine => view::of_member(backend, user, &rooms).await?,
        Scope::Open => view::of_anyone(backend, user, &rooms).await?,
    };
    Ok(ListResponse { rooms, next })
}

/// The next `limit` rooms after the cursor, and whether there are more.
async fn listed(
    backend: &Backend,
    user: &UserId,
    scope: Scope,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<(Vec<(RoomId, u64)>, bool), Refusal> {
    // Rooms of the cursor's own millisecond come first, and some of them were given before.
    let before = cursor.map(|cursor| cursor.time.saturating_add(1));
    let mut ask = limit + 1;
    loop {
        let found = match scope {
            Scope::Mine => backend.store.rooms_of(user, before, ask).await,
            Scope::Open => backend.store.open_rooms(before, ask).await,
        };
        let found = found.map_err(|error| refusal(&error))?;
        let all = found.len() < ask;
        let is_news = |room: &(RoomId, u64)| cursor.is_none_or(|cursor| cursor.is_before(room));
        let mut news: Vec<_> = found.into_iter().filter(is_news).collect();
        if all || news.len() > limit {
            let more = news.len() > limit;
            news.truncate(limit);
            return Ok((news, more));
        }
        ask *= 2;
    }
}

/// Shows a room to a member, to anyone if it is open, and to its two users if it is a direct room
/// that has not begun.
///
/// # Errors
/// `NotFound` if there is no such room or it is none of the caller's business.
pub async fn get(
    backend: &Backend,
    caller: &Caller,
    request: RoomRequest,
) -> Result<RoomResponse, Refusal> {
    let user = caller.user()?;
    let room = view::one(backend, user, &request.room).await?;
    Ok(RoomResponse { room })
}

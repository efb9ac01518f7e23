//! `connect`: who is there, and everything that concerns them from now on, in one answer.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use chinwag_protocol::code::{Close, Code, Refusal};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::position::{Position, epoch_from_text};
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::{ConnectRequest, SubscribeRequest};
use chinwag_protocol::result::ConnectResult;
use serde::Deserialize;

use crate::access;
use crate::backend::refusal;
use crate::command::{Asked, ttl};
use crate::delivery::Delivery;
use crate::subscription::{self, Plan};
use crate::token::{self, Caller, TokenError};

/// How many rooms beyond those that a session is subscribed to are watched for it.
pub(crate) const WATCHED_ROOMS: usize = 1_000;

pub(crate) async fn handle(asked: Asked, request: ConnectRequest) -> Result<(), Close> {
    let caller = match caller(&asked, &request.token).await {
        Ok(caller) => caller,
        Err(Refused::Close(close)) => return Err(close),
        Err(Refused::Answer(refusal)) => {
            asked.answer(Err(refusal));
            return Ok(());
        }
    };
    asked.connection.wants_marks.set(wants_marks(&request.data));
    asked.connection.set_caller(caller.clone());
    match begin(&asked, &caller, &request.subs).await {
        Ok((result, later)) => {
            asked.answer(Ok(Outcome::Connect(result)));
            subscription::push_later(&asked.shard, &asked.connection, &later);
            asked.connection.has_come();
            Ok(())
        }
        Err(refusal) => {
            // Half a session is worse than none: the client comes back.
            asked.answer(Err(refusal));
            Err(Close::ServerError)
        }
    }
}

/// Whether connect data asks for durable marks. Other data is the application's.
fn wants_marks(data: &[u8]) -> bool {
    #[derive(Default, Deserialize)]
    struct Wishes {
        #[serde(default)]
        marks: bool,
    }
    serde_json::from_slice(data)
        .unwrap_or(Wishes::default())
        .marks
}

/// What a session is told of the server: that it keeps senders' order by `after`, and whether it
/// will say what is archived.
fn abilities(marks: bool) -> &'static [u8] {
    if marks {
        br#"{"after":true,"marks":true}"#
    } else {
        br#"{"after":true}"#
    }
}

enum Refused {
    Answer(Refusal),
    Close(Close),
}

async fn caller(asked: &Asked, token: &str) -> Result<Caller, Refused> {
    let backend = &asked.shard.backend;
    if token.is_empty() {
        return match backend.config.anonymous {
            true => Ok(Caller::anonymous()),
            false => Err(Refused::Close(Close::InvalidToken)),
        };
    }
    token::authenticate(backend, token)
        .await
        .map_err(|error| match error {
            TokenError::Invalid => Refused::Close(Close::InvalidToken),
            TokenError::Expired => {
                Refused::Answer(Refusal::new(Code::TokenExpired, "the token has expired"))
            }
            TokenError::Unavailable => Refused::Answer(Refusal::new(
                Code::Unavailable,
                "the store cannot be reached; try again",
            )),
        })
}

async fn begin(
    asked: &Asked,
    caller: &Caller,
    known: &BTreeMap<String, SubscribeRequest>,
) -> Result<(ConnectResult, Vec<Arc<Delivery>>), Refusal> {
    let (shard, connection) = (&asked.shard, &asked.connection);
    let config = &shard.backend.config;
    let mut plans = Vec::new();
    if let Some(user) = &caller.user {
        // Before the list of rooms is read: a room that comes in between is told to this session.
        open_session(asked, user).await?;
        still_good(asked, caller, user).await?;
        plans = self::plans(asked, user, known).await?;
    }
    let prepared = subscription::prepare(shard, connection, plans).await;
    let (mut subs, mut later) = (BTreeMap::new(), Vec::new());
    for (room, prepared) in prepared {
        match prepared.and_then(|prepared| subscription::start(shard, connection, prepared)) {
            Ok(started) => {
                later.extend(started.later);
                subs.insert(room.to_string(), started.result);
            }
            Err(refusal) if refusal.code == Code::LimitExceeded => break,
            // No member any more, since the list was read.
            Err(refusal) if refusal.code == Code::PermissionDenied => {}
            Err(refusal) => return Err(refusal),
        }
    }
    // A token of ours is checked by the server alone; refreshing is for tokens with a lifetime.
    let expires = caller.expires_at.filter(|_| caller.digest.is_none());
    let result = ConnectResult {
        client: connection.client.to_string(),
        version: concat!("chinwag ", env!("CARGO_PKG_VERSION")).to_owned(),
        expires: expires.is_some(),
        ttl: expires.map_or(0, |at| ttl(at, shard.backend.store.now())),
        subs,
        ping: u32::try_from(config.ping_interval.as_secs().max(1)).unwrap_or(25),
        pong: true,
        session: connection.client.to_string(),
        node: shard.identity.now().to_string(),
        data: Bytes::from_static(abilities(connection.wants_marks.get())),
        ..ConnectResult::default()
    };
    Ok((result, later))
}

async fn open_session(asked: &Asked, user: &UserId) -> Result<(), Refusal> {
    let (shard, connection) = (&asked.shard, &asked.connection);
    shard.add_user(user, connection);
    shard.gate.user_came(user);
    connection.session_open.set(true);
    loop {
        let name = shard.identity.now();
        let store = &shard.backend.store;
        let opened = store.open_session(&name, user, &connection.client).await;
        opened.map_err(|error| refusal(&error))?;
        if shard.identity.is(&name) {
            return Ok(());
        }
    }
}

/// A token may be taken back while the connection was not yet known as its user's, and so heard
/// nothing of it.
async fn still_good(asked: &Asked, caller: &Caller, user: &UserId) -> Result<(), Refusal> {
    if let Some(digest) = &caller.digest {
        let expiry = asked.shard.backend.store.token_expiry(user, digest).await;
        if expiry.map_err(|error| refusal(&error))?.is_none() {
            asked.connection.close(Close::InvalidToken);
        }
    }
    Ok(())
}

/// What a user's session is subscribed to by itself: the personal channel, and recent rooms.
async fn plans(
    asked: &Asked,
    user: &UserId,
    known: &BTreeMap<String, SubscribeRequest>,
) -> Result<Vec<Plan>, Refusal> {
    let backend = &asked.shard.backend;
    let mut plans = Vec::new();
    if backend.config.personal_channel {
        plans.extend(plan(asked, RoomId::personal(user), known));
    }
    let most = backend.config.rooms_on_connect;
    let rooms = backend
        .store
        .rooms_of(user, None, most + WATCHED_ROOMS)
        .await;
    let rooms: Vec<RoomId> = rooms
        .map_err(|error| refusal(&error))?
        .into_iter()
        .map(|(room, _)| room)
        .collect();
    // The list follows the memberships; it may be behind.
    let members = backend.store.memberships(&rooms, user).await;
    let members = members.map_err(|error| refusal(&error))?;
    let mut rooms: Vec<RoomId> = rooms
        .into_iter()
        .zip(members)
        .filter_map(|(room, member)| member.map(|_| room))
        .collect();
    let beyond = rooms.split_off(rooms.len().min(most));
    plans.extend(
        rooms
            .into_iter()
            .filter_map(|room| plan(asked, room, known)),
    );
    watch(asked, user, beyond);
    Ok(plans)
}

fn plan(asked: &Asked, room: RoomId, known: &BTreeMap<String, SubscribeRequest>) -> Option<Plan> {
    let policy = access::policy(&asked.shard.backend, &room).ok()?;
    let since = known
        .get(room.as_str())
        .filter(|known| known.recover)
        .map(|known| Position::new(epoch_from_text(&known.epoch), known.offset));
    Some(Plan {
        room,
        policy,
        server_side: true,
        expires_at: None,
        info: None,
        since,
        wants_comings: policy.join_leave,
        recoverable: true,
    })
}

/// Has the fan-out workers tell of activity in rooms to which the session does not listen.
fn watch(asked: &Asked, user: &UserId, rooms: Vec<RoomId>) {
    if rooms.is_empty() {
        return;
    }
    let (shard, user) = (Rc::clone(&asked.shard), user.clone());
    shard
        .context
        .clone()
        .spawn_local("watch rooms", async move {
            let name = shard.identity.now();
            if let Err(error) = shard.backend.store.watch(&name, &user, &rooms, true).await {
                tracing::warn!(%error, "cannot watch rooms");
            }
        });
}

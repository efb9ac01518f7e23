//! How a subscription begins without losing or doubling anything, and how it ends.
//!
//! The order is what makes it right: take a place in the hub (from now on everything waits for
//! this subscriber), have Redis listened to and learn where the room stands, read what was missed,
//! tell others, and then, without waiting for anything in between, answer and go live.

mod recovery;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::{Position, epoch_text};
use chinwag_protocol::push::Publication;
use chinwag_protocol::result::SubscribeResult;
use chinwag_store::presence::Occupant;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::config::Policy;
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::hub::Entry;
use crate::inlet::Wanted;
use crate::outbox::{Put, Worth};
use crate::shard::Shard;

/// Reads of one connection under way at once.
const READS: usize = 64;
/// How long rooms may take to open. Clients wait for 5 seconds.
const OPEN_TIMEOUT: Duration = Duration::from_secs(4);

/// A subscription of a connection.
pub(crate) struct Subscription {
    /// The server made it.
    pub server_side: bool,
    /// When its token runs out, in milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// As what it is present in the channel, if presence is kept.
    occupant: Option<Occupant>,
    announced: bool,
    /// Whether it came into the channel's presence.
    entered: bool,
}

/// What is asked of a subscription.
pub(crate) struct Plan {
    pub room: RoomId,
    pub policy: Policy,
    pub server_side: bool,
    pub expires_at: Option<u64>,
    /// What the subscription's token says of it, JSON.
    pub info: Option<Vec<u8>>,
    /// The position after which it wants everything.
    pub since: Option<Position>,
    pub wants_comings: bool,
    pub recoverable: bool,
}

/// A subscription that can go live.
pub(crate) struct Prepared {
    room: RoomId,
    recoverable: bool,
    /// What it has missed, from its beginning, and up to where; `None` if that was not asked for or cannot be given.
    read: Option<(Position, Vec<Publication>)>,
    recovering: bool,
}

/// A subscription that is live: what to answer, and what to push behind the answer.
pub(crate) struct Started {
    pub result: SubscribeResult,
    pub later: Vec<Arc<Delivery>>,
}

/// Prepares subscriptions, each by itself: one that fails leaves nothing behind.
pub(crate) async fn prepare(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    plans: Vec<Plan>,
) -> Vec<(RoomId, Result<Prepared, Refusal>)> {
    let mut wishes = Vec::new();
    let mut entered = Vec::with_capacity(plans.len());
    for plan in plans {
        let entry = enter(shard, connection, &plan);
        if entry.as_ref().is_ok_and(|entry| entry.wish) {
            wishes.push(plan.room.clone());
        }
        entered.push((plan, entry));
    }
    if !wishes.is_empty() {
        shard.wish(Wanted::Join(shard.index, wishes));
    }
    let deadline = Instant::now() + OPEN_TIMEOUT;
    let answer_room = &Cell::new(shard.backend.config.outbox_limit / 2);
    futures_util::stream::iter(entered)
        .map(|(plan, entry)| async move {
            let room = plan.room.clone();
            let prepared = match entry {
                Ok(entry) => {
                    let prepared =
                        finish(shard, connection, plan, entry, deadline, answer_room).await;
                    if prepared.is_err() {
                        end(shard, connection, &room);
                    }
                    prepared
                }
                Err(refusal) => Err(refusal),
            };
            (room, prepared)
        })
        .buffered(READS)
        .collect()
        .await
}

fn enter(shard: &Shard, connection: &Rc<Connection>, plan: &Plan) -> Result<Entry, Refusal> {
    let mut subscriptions = connection.subscriptions.borrow_mut();
    if connection.is_gone() {
        return Err(unavailable());
    }
    if subscriptions.contains_key(&plan.room) {
        return Err(Refusal::new(Code::AlreadySubscribed, "already subscribed"));
    }
    let most = shard.backend.config.subscriptions_per_connection;
    if subscriptions.len() >= most {
        let message = format!("channel: a connection may have at most {most} subscriptions");
        return Err(Refusal::new(Code::LimitExceeded, message));
    }
    let caller = connection.caller();
    let occupant = plan.policy.presence.then(|| Occupant {
        user: connection
            .user()
            .map(|user| user.to_string())
            .unwrap_or_default(),
        client: connection.client.clone(),
        connection_info: caller
            .and_then(|caller| caller.info.as_ref().map(|info| info.as_bytes().to_vec())),
        channel_info: plan.info.clone(),
    });
    let subscription = Subscription {
        server_side: plan.server_side,
        expires_at: plan.expires_at,
        occupant,
        announced: plan.policy.join_leave,
        entered: false,
    };
    subscriptions.insert(plan.room.clone(), subscription);
    Ok(shard.hub.enter(&plan.room, connection, plan.wants_comings))
}

fn unavailable() -> Refusal {
    let message = "the channel cannot be had now; try again";
    Refusal::new(Code::Unavailable, message)
}

async fn finish(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    plan: Plan,
    entry: Entry,
    deadline: Instant,
    answer_room: &Cell<usize>,
) -> Result<Prepared, Refusal> {
    // Without Redis nobody answers, and whoever waits here reads nothing from the socket.
    let opened = timeout_at(deadline, entry.opened).await;
    let opened = opened.ok().and_then(Result::ok).flatten();
    opened.ok_or_else(unavailable)?;
    // Only now: who is put out after this is put out by an event that this thread hears.
    if plan.policy.members_only && !is_member(shard, connection, &plan.room).await? {
        return Err(Refusal::new(Code::PermissionDenied, "permission denied"));
    }
    let mut read = None;
    if let Some(since) = plan.since {
        read = recovery::recovered(shard, &plan, since, deadline, answer_room).await?;
        let result = if read.is_some() {
            "recovered"
        } else {
            "unrecovered"
        };
        metrics::counter!("chinwag_gateway_recoveries_total", "result" => result).increment(1);
    }
    let occupant = connection
        .subscriptions
        .borrow_mut()
        .get_mut(&plan.room)
        .map(|subscription| {
            subscription.entered = subscription.occupant.is_some();
            (subscription.occupant.clone(), subscription.announced)
        });
    // Ended while it was prepared: by an order, or with the connection.
    let (occupant, announced) = occupant.ok_or_else(unavailable)?;
    if let Some(occupant) = occupant {
        shard.gate.room_entered(&plan.room);
        let mut announces = announced;
        loop {
            let (name, store) = (shard.identity.now(), &shard.backend.store);
            let entered = store.enter_channel(&plan.room, &name, &occupant, announces);
            let entered = entered.await;
            entered.map_err(|error| crate::backend::refusal(&error))?;
            if shard.identity.is(&name) {
                break;
            }
            announces = false;
        }
    }
    let (room, recoverable, recovering) = (plan.room, plan.recoverable, plan.since.is_some());
    Ok(Prepared {
        room,
        recoverable,
        read,
        recovering,
    })
}

/// Makes a prepared subscription live. Answer, and then push what came later, before anything
/// else happens.
pub(crate) fn start(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    prepared: Prepared,
) -> Result<Started, Refusal> {
    let Prepared {
        room,
        recoverable,
        read,
        recovering,
    } = prepared;
    if !shard.hub.has_mark(&room)
        && let Some(mark) = shard.backend.acks.mark(&room)
    {
        shard.hub.archived(&room, mark);
    }
    let at = read.as_ref().map(|(position, _)| *position);
    let Some((position, later)) = shard.hub.start(&room, connection.number, at) else {
        end(shard, connection, &room);
        return Err(unavailable());
    };
    let mut later = later;
    later.extend(
        shard
            .hub
            .mark(&room)
            .filter(|_| connection.wants_marks.get()),
    );
    let expires_at = connection
        .subscriptions
        .borrow()
        .get(&room)
        .and_then(|subscription| subscription.expires_at);
    let ttl = expires_at.map(|at| crate::command::ttl(at, shard.backend.store.now()));
    let result = SubscribeResult {
        expires: ttl.is_some(),
        ttl: ttl.unwrap_or(0),
        recoverable,
        positioned: recoverable,
        epoch: epoch_text(position.epoch),
        offset: position.seq,
        was_recovering: recovering,
        recovered: read.is_some(),
        publications: read
            .map(|(_, publications)| publications)
            .unwrap_or_default(),
        ..SubscribeResult::default()
    };
    Ok(Started { result, later })
}

/// Puts what came while a subscription began behind its answer.
pub(crate) fn push_later(shard: &Shard, connection: &Connection, later: &[Arc<Delivery>]) {
    let mut fallen: Vec<&RoomId> = Vec::new();
    for delivery in later {
        if fallen.contains(&&delivery.room) {
            continue;
        }
        let bytes = delivery.bytes(connection.encoding);
        let worth = match delivery.position {
            Some(_) => Worth::Event,
            None => Worth::Owed,
        };
        if let (Put::Full, Some(at)) = (connection.outbox.put(bytes, worth), delivery.position) {
            let before = Position::new(at.epoch, at.seq.saturating_sub(1));
            shard
                .hub
                .fall_behind(&delivery.room, connection.number, before);
            fallen.push(&delivery.room);
        }
    }
}

/// As what a connection is present in channels.
pub(crate) fn presences(connection: &Connection) -> Vec<(RoomId, Occupant)> {
    let subscriptions = connection.subscriptions.borrow();
    let entered = subscriptions.iter().filter(|(_, one)| one.entered);
    entered
        .filter_map(|(room, one)| Some((room.clone(), one.occupant.clone()?)))
        .collect()
}

/// Ends a subscription. `false` if there was none.
pub(crate) fn end(shard: &Rc<Shard>, connection: &Rc<Connection>, room: &RoomId) -> bool {
    let Some(subscription) = connection.subscriptions.borrow_mut().remove(room) else {
        return false;
    };
    if connection.behind.remove(room) {
        connection.outbox.set_behind(false);
    }
    if shard.hub.leave(room, connection.number) {
        shard.wish(Wanted::Leave(shard.index, room.clone()));
    }
    let last = subscription.entered && shard.gate.room_left(room);
    if let Some(occupant) = subscription.occupant {
        let (inside, room) = (Rc::clone(shard), room.clone());
        let announced = subscription.announced;
        shard.context.spawn_local("leave channel", async move {
            if let Err(error) = depart(&inside, &room, &occupant, announced, last).await {
                inside.identity.doubts.undone();
                tracing::warn!(%room, %error, "cannot take a client out of a channel's presence");
            }
        });
    }
    true
}

/// Takes a client out of a channel's presence, and the gateway, if it was the last here.
async fn depart(
    shard: &Shard,
    room: &RoomId,
    occupant: &Occupant,
    announced: bool,
    last: bool,
) -> chinwag_store::Result<()> {
    let store = &shard.backend.store;
    store.leave_channel(room, occupant, announced).await?;
    if last {
        let name = shard.identity.now();
        store.release_room(room, &name).await?;
        // Somebody came in while this was on its way.
        if shard.gate.is_in(room) {
            store.hold_room(room, &name).await?;
        }
    }
    Ok(())
}

/// Whether the connection's user is a member of a room.
async fn is_member(shard: &Shard, connection: &Connection, room: &RoomId) -> Result<bool, Refusal> {
    let Some(user) = connection.user() else {
        return Ok(false);
    };
    let membership = shard.backend.store.membership(room, &user).await;
    let membership = membership.map_err(|error| crate::backend::refusal(&error))?;
    Ok(membership.is_some())
}

//! Rooms that appear on live sessions: subscriptions that nobody asked for.

use std::rc::Rc;
use std::time::Duration;

use chinwag_protocol::code::{Close, Code};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_protocol::push::{Happening, Push, Subscribe};
use chinwag_protocol::result::SubscribeResult;

use crate::connection::Connection;
use crate::shard::Shard;
use crate::subscription::{Plan, Started, prepare, push_later, start};

/// How often a room is tried, because nobody will say again that it is there.
const ATTEMPTS: u32 = 3;
/// How long after one another.
const PAUSE: Duration = Duration::from_secs(1);

/// A room appears on a live session: subscribes it, from `seq` on if one is given.
pub(crate) fn appear(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    room: &RoomId,
    seq: Option<u64>,
) {
    let Some(policy) = shard.backend.config.namespaces.policy(room) else {
        return;
    };
    if connection.is_subscribed(room) {
        return;
    }
    let (shard, connection, room) = (Rc::clone(shard), Rc::clone(connection), room.clone());
    let since = seq.map(|seq| Position::new(0, seq.saturating_sub(1)));
    let plan = move || Plan {
        room: room.clone(),
        policy,
        server_side: true,
        expires_at: None,
        info: None,
        since,
        wants_comings: policy.join_leave,
        recoverable: true,
    };
    shard.context.clone().spawn_local("appear", async move {
        for _ in 0..ATTEMPTS {
            if !connection.here().await || shown(&shard, &connection, plan()).await {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        // Nobody will say it again: only a new connection finds the room.
        connection.close(Close::InsufficientState);
    });
}

/// Shows a room to a live session. `false` if that may succeed later.
async fn shown(shard: &Rc<Shard>, connection: &Rc<Connection>, plan: Plan) -> bool {
    let since = plan.since;
    for (room, prepared) in prepare(shard, connection, vec![plan]).await {
        match prepared.and_then(|prepared| start(shard, connection, prepared)) {
            Ok(started) => show(shard, connection, &room, since, &started),
            Err(refusal) => {
                tracing::debug!(%room, %refusal, "a room cannot be shown");
                return !matches!(refusal.code, Code::Unavailable | Code::Internal);
            }
        }
    }
    true
}

/// Pushes a subscription that the server made, and what belongs to it.
fn show(
    shard: &Shard,
    connection: &Connection,
    room: &RoomId,
    since: Option<Position>,
    started: &Started,
) {
    let SubscribeResult {
        epoch,
        publications,
        recovered,
        offset,
        ..
    } = &started.result;
    let from = since
        .filter(|_| *recovered)
        .map_or(*offset, |since| since.seq);
    let subscribe = Subscribe {
        recoverable: true,
        positioned: true,
        epoch: epoch.clone(),
        offset: from,
        ..Subscribe::default()
    };
    connection.push(&Push::new(room.as_str(), Happening::Subscribe(subscribe)));
    for publication in publications {
        let happening = Happening::Pub(publication.clone());
        connection.push(&Push::new(room.as_str(), happening));
    }
    push_later(shard, connection, &started.later);
}

//! Saying again whom a thread has, under another name of the gateway: sessions first, because by
//! them users are online, then places in channels. In pieces, one after the other, so that Redis
//! has time for what else it is asked.

use std::rc::Rc;
use std::time::{Duration, Instant};

use chinwag_protocol::id::{ClientId, Incarnation, RoomId, UserId};
use chinwag_store::presence::Occupant;

use crate::connection::Connection;
use crate::notices;
use crate::shard::Shard;
use crate::subscription::presences;

/// How many are said at once.
const AT_ONCE: usize = 256;
/// How long after a failure the next try is.
const AGAIN: Duration = Duration::from_millis(500);

/// Says under `name` whom the thread has, and looks after what may have been missed.
pub(crate) fn begin(shard: &Rc<Shard>, name: Incarnation) {
    let shard = Rc::clone(shard);
    let context = shard.context.clone();
    context.spawn_local("assert sessions", async move {
        let began = Instant::now();
        while let Err(error) = assert(&shard, &name).await {
            tracing::warn!(%error, "cannot tell Redis who is here; trying again");
            if shard.context.is_stopping() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        let (thread, took) = (shard.index, began.elapsed());
        tracing::info!(thread, %name, ?took, "Redis knows again who is here");
        shard.identity.settled(name).await;
        notices::look_after_all(&shard);
    });
}

/// All of it once. What fails, on one server of several perhaps, holds up nothing that follows.
async fn assert(shard: &Rc<Shard>, name: &Incarnation) -> chinwag_store::Result<()> {
    let connections = shard.all();
    let mut result = Ok(());
    for some in connections.chunks(AT_ONCE) {
        result = result.and(sessions(shard, name, some).await);
    }
    let mut places: Vec<(Rc<Connection>, RoomId, Occupant)> = Vec::new();
    for connection in connections {
        let its = presences(&connection).into_iter();
        places.extend(its.map(|(room, occupant)| (Rc::clone(&connection), room, occupant)));
        if places.len() >= AT_ONCE {
            result = result.and(enter(shard, name, std::mem::take(&mut places)).await);
        }
    }
    result.and(enter(shard, name, places).await)
}

async fn sessions(
    shard: &Rc<Shard>,
    name: &Incarnation,
    connections: &[Rc<Connection>],
) -> chinwag_store::Result<()> {
    let store = &shard.backend.store;
    let open = connections.iter().filter(|one| one.session_open.get());
    let open: Vec<(&Rc<Connection>, UserId)> = open
        .filter_map(|connection| Some((connection, connection.user()?)))
        .collect();
    let sessions: Vec<(UserId, ClientId)> = open
        .iter()
        .map(|(connection, user)| (user.clone(), connection.client.clone()))
        .collect();
    store.open_sessions(name, &sessions).await?;
    // Who went meanwhile may have been taken out before being put in.
    for (connection, user) in open {
        if !connection.session_open.get() {
            let closed = store.close_session(name, &user, &connection.client, false);
            closed.await?;
        }
    }
    Ok(())
}

async fn enter(
    shard: &Rc<Shard>,
    name: &Incarnation,
    places: Vec<(Rc<Connection>, RoomId, Occupant)>,
) -> chinwag_store::Result<()> {
    let store = &shard.backend.store;
    let occupants = places
        .iter()
        .map(|(_, room, who)| (room.clone(), who.clone()));
    let occupants: Vec<(RoomId, Occupant)> = occupants.collect();
    for some in occupants.chunks(AT_ONCE) {
        store.enter_channels(name, some).await?;
    }
    for (connection, room, occupant) in places {
        if !connection.is_subscribed(&room) {
            store.leave_channel(&room, &occupant, false).await?;
        }
    }
    Ok(())
}

//! What a fan-out worker does with a batch: lists, then notices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chinwag_protocol::event::Content;
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_runtime::Context;
use chinwag_store::lease::Lease;
use chinwag_store::log::{Batch, LogId};
use chinwag_store::{Result, Store};
use chinwag_worker::{Consumer, Failure, Living};
use futures_util::future::try_join_all;
use metrics::{counter, gauge};
use tokio::sync::Mutex;

use crate::config::{Config, Error};
use crate::inbox::{Inboxes, by_user};
use crate::recipients::{self, Became, Happened};
use crate::rooms::{Move, Rooms};

/// How many users' lists are moved in one round trip.
const LISTS_AT_ONCE: usize = 1_000;
/// How many moves that the worker before has put off are taken over with a partition. The rest
/// are made when somebody says something again.
const INHERITED: usize = 10_000;
/// How many of them are made in a row before what is new has its turn.
const INHERITED_AT_ONCE: usize = 16;
/// Among how many of a room's last events its last message is looked for.
const LAST: u64 = 30;

/// Fans out the events of this process's share of the partitions, until the context stops.
///
/// # Errors
/// When a setting is wrong. What may pass by itself is waited for.
pub async fn run(config: Config, store: Store, context: Context) -> Result<(), Error> {
    let fanout = Fanout {
        store: store.clone(),
        config,
        living: Mutex::default(),
    };
    chinwag_worker::run(config.into(), store, fanout, &context).await
}

struct Fanout {
    store: Store,
    config: Config,
    /// Held while the list of gateways is read, so that it is read once for all who wait.
    living: Mutex<Living>,
}

/// What is remembered of a partition.
struct Share {
    rooms: Rooms,
    /// What this share has added to the gauge of remembered members.
    counted: usize,
}

/// What happened, by room.
type ByRoom = BTreeMap<RoomId, Happened>;

impl Consumer for Fanout {
    type Share = Share;
    const ROLE: &'static str = "fanout";
    /// Nobody sees a list move this late.
    const REST: Duration = Duration::from_millis(100);

    async fn open(&self, lease: &Lease, mark: LogId) -> Result<(Share, LogId), Failure> {
        let partitions = usize::from(self.store.keys().partitions());
        let mut rooms = Rooms::new(&self.config, self.config.cached_members / partitions);
        let left = self.store.moves_put_off(lease.partition, INHERITED);
        rooms.inherit(left.await?);
        let share = Share { rooms, counted: 0 };
        Ok((share, mark))
    }

    async fn apply(&self, share: &mut Share, lease: &Lease, batch: &Batch) -> Result<(), Failure> {
        let rooms = recipients::happened(&batch.entries);
        if rooms.is_empty() {
            return Ok(());
        }
        self.membership_lists(&rooms).await?;
        self.activity_lists(share, &rooms).await?;
        // Before the mark moves past them: nobody else would make these moves, were this the end.
        let fresh = share.rooms.fresh();
        self.store.put_off_moves(lease.partition, fresh).await?;
        share.rooms.noted();
        share.count();
        let mut inboxes = Inboxes::default();
        self.tell_of_membership(&rooms, &mut inboxes).await?;
        self.tell_watchers(&rooms, &mut inboxes).await?;
        let notices = inboxes.into_notices();
        self.store.notify_all(&notices).await?;
        counter!("chinwag_fanout_notices_total").increment(notices.len() as u64);
        Ok(())
    }

    async fn tick(&self, share: &mut Share, _: &Lease) -> Result<(), Failure> {
        let due = share.rooms.due(Some(Instant::now()));
        self.make(share, due).await?;
        for (room, time) in share.rooms.inherited(INHERITED_AT_ONCE) {
            let made = self.inherited(room, time).await?;
            self.make(share, vec![made]).await?;
        }
        Ok(())
    }

    async fn close(&self, share: &mut Share, _: &Lease) -> Result<(), Failure> {
        let due = share.rooms.due(None);
        Ok(self.make(share, due).await?)
    }
}

impl Fanout {
    /// Rooms come into the lists of those who came, and go from those of who went.
    async fn membership_lists(&self, rooms: &ByRoom) -> Result<()> {
        let changes = rooms.iter().flat_map(|(room, happened)| {
            let members = happened.members.iter();
            members.map(move |(user, became)| self.membership_list(room, user, *became))
        });
        try_join_all(changes).await.map(drop)
    }

    async fn membership_list(&self, room: &RoomId, user: &UserId, became: Became) -> Result<()> {
        match became {
            Became::Member { time, .. } => {
                let user = std::slice::from_ref(user);
                self.store.touch_rooms(room, user, time).await
            }
            Became::Gone => self.store.drop_room(room, user).await,
        }
    }

    /// Rooms in which something was said move in their members' lists, at their pace.
    async fn activity_lists(&self, share: &mut Share, rooms: &ByRoom) -> Result<()> {
        let mut moves = Vec::new();
        let now = Instant::now();
        for (room, happened) in rooms {
            if happened.spoken.is_some() && !share.rooms.knows(room) {
                // They may be those of later than this batch; what follows in the log makes them
                // the same again.
                let members = self.store.members(room).await?;
                let members = members.into_iter().map(|(user, _)| user);
                share.rooms.learn(room, members);
            }
            share.rooms.change(room, &happened.members);
            if let Some(time) = happened.spoken {
                moves.extend(share.rooms.spoken(room, time, now));
            }
        }
        self.make(share, moves).await
    }

    async fn make(&self, share: &mut Share, moves: Vec<Move>) -> Result<()> {
        for made in moves {
            for some in made.members.chunks(LISTS_AT_ONCE) {
                self.store.touch_rooms(&made.room, some, made.time).await?;
            }
            if made.was_put_off {
                self.store.made_move(&made.room, made.time).await?;
            }
            share.rooms.moved(&made, Instant::now());
            counter!("chinwag_fanout_activity_updates_total").increment(made.members.len() as u64);
        }
        Ok(())
    }

    /// A move that the worker before has put off. Its time is that of the last message, which may
    /// have come after the one of which was noted that the room is to move.
    async fn inherited(&self, room: RoomId, time: u64) -> Result<Move> {
        let members = self.store.members(&room).await?;
        let place = self.store.positions(std::slice::from_ref(&room)).await?;
        let seq = place
            .first()
            .copied()
            .flatten()
            .map_or(0, |place| place.seq);
        let recent = self.store.ring(&room, seq.saturating_sub(LAST), seq).await;
        // An epoch that is not there yet is no reason not to move.
        let recent = recent.unwrap_or_default().into_iter();
        let messages = recent.filter(|event| matches!(event.content, Content::Message { .. }));
        let last = messages.map(|event| event.time).max().unwrap_or(0);
        Ok(Move {
            room,
            members: members.into_iter().map(|(user, _)| user).collect(),
            time: last.max(time),
            was_put_off: true,
        })
    }

    async fn tell_of_membership(&self, rooms: &ByRoom, inboxes: &mut Inboxes) -> Result<()> {
        let users: BTreeSet<&UserId> = rooms
            .values()
            .flat_map(|happened| happened.members.keys())
            .collect();
        let users: Vec<UserId> = users.into_iter().cloned().collect();
        let sessions = by_user(self.store.gateways_of(&users).await?);
        for (room, happened) in rooms {
            inboxes.membership(room, happened, &sessions);
        }
        Ok(())
    }

    /// Tells those who watch, and forgets watches of gateways that are dead.
    async fn tell_watchers(&self, rooms: &ByRoom, inboxes: &mut Inboxes) -> Result<()> {
        let names: Vec<RoomId> = rooms.keys().cloned().collect();
        let watchers = self.store.watchers(&names).await?;
        let seen = watchers.iter().flatten().map(|(gateway, _)| gateway);
        let seen: BTreeSet<_> = seen.cloned().collect();
        let dead = self.living.lock().await.dead_of(&self.store, &seen).await?;
        for ((room, happened), watchers) in rooms.iter().zip(watchers) {
            let (stale, live): (Vec<_>, Vec<_>) = watchers
                .into_iter()
                .partition(|(gateway, _)| dead.contains(gateway));
            let stale = stale.iter();
            let unwatch = stale.map(|(gateway, user)| self.store.unwatch(room, gateway, user));
            try_join_all(unwatch).await?;
            inboxes.activity(room, happened.seq, live);
        }
        Ok(())
    }
}

impl Share {
    /// Keeps the gauge of all shares together.
    fn count(&mut self) {
        let (before, now) = (self.counted, self.rooms.weight());
        gauge!("chinwag_fanout_cached_members").increment(now as f64 - before as f64);
        self.counted = now;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        gauge!("chinwag_fanout_cached_members").decrement(self.counted as f64);
    }
}

//! Telling rooms who came and went, all changes of a moment in one word to each room.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_store::channel::Signal;
use chinwag_store::{Result, Store};
use futures_util::future::try_join_all;
use lru::LruCache;
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

use crate::transition::{Change, Changes, Digest, State};

/// Hand-overs that wait, each of at most as many changes as are settled at once. When there are
/// more, settling waits.
pub(crate) const QUEUE: usize = 16;

/// How many rooms are told of one user's change: those in which the user was active last.
const ROOMS_PER_USER: usize = 200;

/// Rooms of more members are not told: they change so much more often, and each change would go
/// to so many more.
const ROSTER_MEMBERS: u64 = 250;

/// Users of one digest. More make it go out before its time.
const USERS: usize = 1_024;

/// Rooms whose size is remembered, and for how long.
const SIZES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
const SIZE_LASTS: Duration = Duration::from_secs(60);

/// Questions and words to Redis that are on their way at once.
const SIDE_BY_SIDE: usize = 64;
const SIGNALS_AT_ONCE: usize = 256;

/// Tells rooms.
pub(crate) struct Teller {
    store: Store,
    /// How long changes gather.
    interval: Duration,
    /// Counts of members, and when they were read.
    sizes: LruCache<RoomId, (u64, Instant)>,
}

impl Teller {
    pub fn new(store: Store, interval: Duration) -> Self {
        Self {
            store,
            interval,
            sizes: LruCache::new(SIZES),
        }
    }

    /// Tells of changes until nobody can hand any over.
    pub async fn run(mut self, mut changes: mpsc::Receiver<Vec<Change>>) {
        while let Some(first) = changes.recv().await {
            let states = self.gather(first, &mut changes).await;
            if let Err(error) = self.tell(&states).await {
                // The states are true in Redis; whoever connects or asks sees them.
                let users = states.len();
                tracing::warn!(%error, users, "cannot tell rooms of presence");
                sleep(self.interval).await;
            }
        }
    }

    /// What changes in the course of the interval.
    async fn gather(
        &self,
        first: Vec<Change>,
        more: &mut mpsc::Receiver<Vec<Change>>,
    ) -> BTreeMap<UserId, State> {
        let until = tokio::time::Instant::now() + self.interval;
        let mut changes = Changes::default();
        first.into_iter().for_each(|change| changes.add(change));
        while changes.len() < USERS {
            match timeout_at(until, more.recv()).await {
                Ok(Some(next)) => next.into_iter().for_each(|change| changes.add(change)),
                Ok(None) | Err(_) => break,
            }
        }
        changes.into_states()
    }

    async fn tell(&mut self, states: &BTreeMap<UserId, State>) -> Result<()> {
        let mut rooms = self.rooms(states).await?;
        let sizes = self.sizes(&rooms).await?;
        rooms.retain(|room, _| {
            let size = sizes.get(room).copied().unwrap_or(0);
            size <= ROSTER_MEMBERS
        });
        for (user, state) in states {
            rooms.insert(RoomId::personal(user), BTreeMap::from([(user, *state)]));
        }
        let signals: Vec<(RoomId, Signal)> = rooms
            .into_iter()
            .map(|(room, users)| {
                let json = Json::of(&Digest::of(users));
                (room, Signal::Data(json.as_bytes().to_vec()))
            })
            .collect();
        for some in signals.chunks(SIGNALS_AT_ONCE) {
            self.store.signals(some).await?;
            counter!("chinwag_presence_digests_total").increment(some.len() as u64);
        }
        Ok(())
    }

    /// The rooms of users, and who of them is in each.
    async fn rooms<'a>(
        &self,
        states: &'a BTreeMap<UserId, State>,
    ) -> Result<BTreeMap<RoomId, BTreeMap<&'a UserId, State>>> {
        let users: Vec<(&UserId, State)> =
            states.iter().map(|(user, state)| (user, *state)).collect();
        let mut rooms: BTreeMap<RoomId, BTreeMap<&UserId, State>> = BTreeMap::new();
        for some in users.chunks(SIDE_BY_SIDE) {
            let lists = some
                .iter()
                .map(|(user, _)| self.store.rooms_of(user, None, ROOMS_PER_USER));
            for ((user, state), list) in some.iter().zip(try_join_all(lists).await?) {
                for (room, _) in list {
                    rooms.entry(room).or_default().insert(user, *state);
                }
            }
        }
        Ok(rooms)
    }

    /// How many members rooms have, about.
    async fn sizes<T>(&mut self, rooms: &BTreeMap<RoomId, T>) -> Result<BTreeMap<RoomId, u64>> {
        let mut sizes = BTreeMap::new();
        let mut unknown = Vec::new();
        for room in rooms.keys() {
            match self.sizes.get(room) {
                Some((size, read)) if read.elapsed() < SIZE_LASTS => {
                    sizes.insert(room.clone(), *size);
                }
                _ => unknown.push(room),
            }
        }
        for some in unknown.chunks(SIDE_BY_SIDE) {
            let counts = some.iter().map(|room| self.store.member_count(room));
            for (room, size) in some.iter().zip(try_join_all(counts).await?) {
                self.sizes.put((*room).clone(), (size, Instant::now()));
                sizes.insert((*room).clone(), size);
            }
        }
        Ok(sizes)
    }
}

//! A consumer that only writes down what it was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chinwag_protocol::id::RoomId;
use chinwag_store::lease::Lease;
use chinwag_store::log::{Batch, LogId};
use chinwag_store::{Partition, Store};
use chinwag_tests::redis::Redis;
use chinwag_worker::{Config, Consumer, Failure};

use crate::support::{self, PARTITIONS, Worker, Writer, room_in, until};

/// One entry, as it was applied.
#[derive(Debug, Clone)]
pub struct Seen {
    pub by: &'static str,
    pub room: String,
    pub seq: u64,
    pub after: Duration,
}

/// What all workers of a story have done, in the order in which they did it.
#[derive(Clone, Default)]
pub struct Record {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What partitions are to fail with, until that is taken away.
    pub trouble: Arc<Mutex<BTreeMap<Partition, Failure>>>,
    /// Partitions whose work never ends.
    pub stuck: Arc<Mutex<Vec<Partition>>>,
    /// Names of those who are stuck.
    pub hanging: Arc<Mutex<Vec<&'static str>>>,
    /// Names of those whose work was broken off.
    pub broken_off: Arc<Mutex<Vec<&'static str>>>,
}

impl Record {
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn by(&self, name: &str) -> usize {
        self.all().iter().filter(|seen| seen.by == name).count()
    }

    /// The sequences of a room in the order in which they were applied.
    pub fn of_room(&self, room: &str) -> Vec<u64> {
        let all = self.all().into_iter();
        all.filter(|seen| seen.room == room)
            .map(|seen| seen.seq)
            .collect()
    }

    /// The sequences of a room, without those that came again.
    pub fn news_of_room(&self, room: &str) -> Vec<u64> {
        let mut news: Vec<u64> = Vec::new();
        for seq in self.of_room(room) {
            if news.last().is_none_or(|last| seq > *last) {
                news.push(seq);
            }
        }
        news
    }
}

pub struct Recorder {
    name: &'static str,
    record: Record,
    store: Store,
}

impl Consumer for Recorder {
    type Share = ();
    const ROLE: &'static str = "recorder";
    const TRIM_AFTER: &'static [&'static str] = &["recorder"];

    async fn open(&self, _: &Lease, mark: LogId) -> Result<((), LogId), Failure> {
        Ok(((), mark))
    }

    async fn apply(&self, (): &mut (), lease: &Lease, batch: &Batch) -> Result<(), Failure> {
        let stuck = self.record.stuck.lock().unwrap().contains(&lease.partition);
        if stuck {
            let _break = BreaksOff(self.name, self.record.clone());
            self.record.hanging.lock().unwrap().push(self.name);
            std::future::pending::<()>().await;
        }
        let trouble = self
            .record
            .trouble
            .lock()
            .unwrap()
            .get(&lease.partition)
            .cloned();
        if let Some(Failure::Fenced { above }) = trouble
            && lease.token > above
        {
        } else if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let now = self.store.now();
        let mut seen = self.record.seen.lock().unwrap();
        seen.extend(batch.entries.iter().filter_map(|entry| {
            let (room, event) = entry.read()?;
            Some(Seen {
                by: self.name,
                room: room.to_string(),
                seq: event.seq,
                after: Duration::from_millis(now.saturating_sub(event.time)),
            })
        }));
        Ok(())
    }
}

struct BreaksOff(&'static str, Record);

impl Drop for BreaksOff {
    fn drop(&mut self) {
        self.1.broken_off.lock().unwrap().push(self.0);
    }
}

/// A Redis, and the workers on it.
pub struct Stage {
    pub redis: Redis,
    pub store: Store,
    pub record: Record,
    pub lease: Duration,
}

impl Stage {
    /// A stage whose workers have a lease of a second, and so a beat of a fifth of that.
    pub async fn new() -> Self {
        let (redis, store) = support::redis().await;
        Self {
            redis,
            store,
            record: Record::default(),
            lease: Duration::from_secs(1),
        }
    }

    /// Starts a worker that records under a name.
    pub fn start(&self, name: &'static str) -> Worker {
        let (redis, record, lease) = (
            support::config(&self.redis),
            self.record.clone(),
            self.lease,
        );
        Worker::start("recorder", move |context| async move {
            let store = Store::connect(redis).await.unwrap();
            let recorder = Recorder {
                name,
                record,
                store: store.clone(),
            };
            let batch = 100;
            let done = chinwag_worker::run(Config { lease, batch }, store, recorder, &context);
            done.await.unwrap();
        })
    }

    /// Rooms, one in each partition.
    pub fn rooms(&self) -> Vec<RoomId> {
        (0..PARTITIONS)
            .map(|one| room_in(&self.store, one))
            .collect()
    }

    /// Says something in every room, `count` times.
    pub async fn say(&self, count: usize) {
        let writer = Writer::new(&self.store);
        for _ in 0..count {
            for room in self.rooms() {
                writer.say(&room, "ann", "").await;
            }
        }
    }

    /// Waits until as many entries were recorded, again or not.
    pub async fn recorded(&self, count: usize) {
        until("entries are recorded", async || self.record.len() >= count).await;
    }

    /// The names that are registered and alive.
    pub async fn alive(&self) -> usize {
        let (workers, now) = self.store.workers("recorder").await.unwrap();
        workers.iter().filter(|worker| worker.expiry > now).count()
    }
}

//! A Redis, an archive, and the archivers between them.

use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::{Archive, Range};
use chinwag_archiver::Config;
use chinwag_protocol::id::RoomId;
use chinwag_store::log::LogId;
use chinwag_store::{Partition, Store};
use chinwag_tests::redis::Redis;

use crate::gate::Gated;
use crate::support::{self, Authority, PARTITIONS, Worker, Writer, process, room_in, until};

pub struct Stage {
    pub redis: Redis,
    pub store: Store,
    pub archive: Arc<Gated>,
    pub writer: Writer<Arc<Gated>>,
    _folder: tempfile::TempDir,
}

impl Authority for Arc<Gated> {
    async fn epoch(&self, partition: u16, run: &str, above: u64) -> u64 {
        self.allocate_epoch(partition, run, above).await.unwrap()
    }

    async fn high(&self, room: &RoomId) -> (u64, u64) {
        let high = Archive::high(&**self, room).await.unwrap();
        high.map_or((0, 0), |high| (high.seq, high.messages))
    }
}

/// A new archive in a file.
pub async fn archive() -> (tempfile::TempDir, Arc<Gated>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("archive.sqlite").display());
    (
        folder,
        Gated::new(chinwag_archive::open(&url).await.unwrap()),
    )
}

impl Stage {
    pub async fn new() -> Self {
        let (redis, store) = support::redis().await;
        let (folder, archive) = archive().await;
        let writer = Writer {
            store: store.clone(),
            authority: Arc::clone(&archive),
        };
        Self {
            redis,
            store,
            archive,
            writer,
            _folder: folder,
        }
    }

    /// Starts an archiver with a lease of a second, on this stage's archive.
    pub fn start(&self) -> Worker {
        self.start_on(&self.archive)
    }

    pub fn start_on(&self, archive: &Arc<Gated>) -> Worker {
        let (redis, archive) = (support::config(&self.redis), Arc::clone(archive));
        Worker::start("archiver", move |context| async move {
            let store = Store::connect(redis).await.unwrap();
            let config = Config {
                lease: Duration::from_secs(1),
                batch: 500,
            };
            let done = chinwag_archiver::run(config, store, archive, context);
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
        for _ in 0..count {
            for room in self.rooms() {
                self.writer.say(&room, "ann", "").await;
            }
        }
    }

    /// Waits until every room has `count` events in the archive, and sees that they are whole.
    pub async fn archived(&self, count: u64) {
        for room in self.rooms() {
            until("all is archived", async || {
                let high = Archive::high(&*self.archive, &room).await.unwrap();
                high.is_some_and(|high| high.seq >= count)
            })
            .await;
            let page = self
                .archive
                .page(&room, Range::from(1, 1000))
                .await
                .unwrap();
            let seqs: Vec<u64> = page.iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (1..=count).collect::<Vec<u64>>(), "{room}");
        }
    }

    /// How many entries all logs have.
    pub async fn entries(&self) -> usize {
        let all = (0..PARTITIONS).map(|one| (Partition(one), LogId::default()));
        let found = self.store.backlog("nobody", &all.collect::<Vec<_>>()).await;
        let entries: u64 = found.unwrap().iter().map(|log| log.length).sum();
        usize::try_from(entries).unwrap()
    }

    /// Waits until the logs have as many entries.
    pub async fn trimmed_to(&self, count: usize) {
        until("the logs are trimmed", async || {
            self.entries().await == count
        })
        .await;
    }

    /// Does what a fan-out worker does that has read all but the last `but` entries of each log.
    pub async fn fan_out(&self, but: usize) {
        let mut reader = self
            .store
            .reader(10_000, Duration::from_millis(10))
            .unwrap();
        for partition in (0..PARTITIONS).map(Partition) {
            let mark = self.store.mark(partition, "fanout").await.unwrap();
            let mut batches = reader.read(&[(partition, mark)]).await.unwrap();
            let mut entries = batches.pop().map_or(Vec::new(), |batch| batch.entries);
            entries.truncate(entries.len().saturating_sub(but));
            let Some(last) = entries.last() else {
                continue;
            };
            let lease = Duration::from_secs(60);
            let worker = process("fanout");
            let held = self
                .store
                .take_lease(partition, "fanout", &worker, lease, 0);
            let held = held.await.unwrap().unwrap();
            let moved = self.store.move_mark(&held, last.id, entries.len(), &[]);
            moved.await.unwrap();
        }
    }
}

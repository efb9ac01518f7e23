//! What archivers do, step by step: any step may be that of one who was overtaken long ago.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag_archive::{Commit, CommitError, Row};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_store::Error;
use chinwag_store::lease::Lease;
use chinwag_store::log::{Batch, LogId};

use crate::expected::Expected;
use crate::step::Archive;
use crate::system::{PARTITION, System, label, name, process, room_number};

/// Longer than any walk: leases run out by a step.
const LEASE: Duration = Duration::from_secs(3600);
const ROLES: [&str; 2] = ["archiver", "fanout"];

/// An archiver, alive or not.
pub struct Archiver {
    number: usize,
    lease: Option<Lease>,
    /// How far the archive has it, and where to read on.
    done: LogId,
    place: LogId,
    read: Option<Batch>,
    committed: Option<Batch>,
}

impl Archiver {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            lease: None,
            done: LogId::default(),
            place: LogId::default(),
            read: None,
            committed: None,
        }
    }

    pub async fn step(&mut self, system: &System, expected: &mut Expected, part: Archive) {
        match part {
            Archive::Take => self.take(system, expected).await,
            Archive::Read => self.read(system).await,
            Archive::Commit => self.commit(system, expected).await,
            Archive::Mark => self.mark(system, expected).await,
            Archive::Turn => {
                self.take(system, expected).await;
                self.read(system).await;
                self.commit(system, expected).await;
                self.mark(system, expected).await;
            }
        }
    }

    /// Takes the lease, and opens the partition if that is news.
    async fn take(&mut self, system: &System, expected: &mut Expected) {
        let checkpoint = system.archive.checkpoint(PARTITION.0).await.unwrap();
        let mut above = 0;
        for _ in 0..2 {
            let me = process(&format!("archiver-{}", self.number));
            let taken = system
                .store
                .take_lease(PARTITION, ROLES[0], &me, LEASE, above);
            let Some(lease) = taken.await.unwrap() else {
                assert_eq!(expected.redis.holder, Some(1 - self.number));
                return;
            };
            expected.redis.holder = Some(self.number);
            if self.lease.as_ref() == Some(&lease) {
                return;
            }
            (self.read, self.committed) = (None, None);
            let token = checkpoint.as_ref().map_or(0, |known| known.token);
            if lease.token > token {
                self.lease = Some(lease);
                break;
            }
            // A Redis that lost its tail gives tokens a second time.
            system.store.release_lease(&lease).await.unwrap();
            (expected.redis.holder, self.lease, above) = (None, None, token);
        }
        let Some(checkpoint) = checkpoint else {
            (self.done, self.place) = (LogId::default(), LogId::default());
            return;
        };
        if checkpoint.epoch > system.store.epoch(PARTITION).await.unwrap() {
            raise(system, expected).await;
        }
        self.done = checkpoint.log_id.parse().unwrap();
        let mark = system.store.mark(PARTITION, ROLES[0]).await.unwrap();
        self.place = self.done.min(mark);
    }

    async fn read(&mut self, system: &System) {
        if self.lease.is_some() && self.committed.is_none() {
            self.read = read(system, self.place).await;
        }
    }

    async fn commit(&mut self, system: &System, expected: &mut Expected) {
        let (Some(batch), Some(lease)) = (self.read.take(), &self.lease) else {
            return;
        };
        let last = batch.entries.last().unwrap().id;
        let new = batch.entries.iter().filter(|entry| entry.id > self.done);
        let rows: Vec<Row> = new
            .map(|entry| Row {
                room: entry.room.clone().unwrap(),
                event: entry.event.clone().unwrap(),
            })
            .collect();
        if last > self.done {
            let commit = Commit {
                partition: PARTITION.0,
                token: lease.token,
                epoch: batch.epoch,
                rows: &rows,
                upto: &last.to_string(),
            };
            match system.archive.commit(commit).await {
                Ok(committed) => {
                    assert_eq!(committed.conflicts, 0, "a sequence was used twice");
                    assert_eq!(committed.duplicates, 0, "a message was written twice");
                }
                Err(CommitError::Fenced { .. }) => {
                    self.lease = None;
                    return;
                }
                Err(error) => panic!("{error}"),
            }
            let (token, epoch) = (lease.token, batch.epoch);
            assert!(token >= expected.token, "a zombie's commit, token {token}");
            assert!(epoch >= expected.epoch, "an old epoch's commit: {epoch}");
            expected.token = token;
            let rows = rows.iter().map(|row| {
                let event = &row.event;
                (room_number(&row.room), event.seq, label(event), name(event))
            });
            expected.committed(&rows.collect::<Vec<_>>());
            self.done = last;
        }
        self.committed = Some(batch);
    }

    async fn mark(&mut self, system: &System, expected: &mut Expected) {
        let (Some(batch), Some(lease)) = (self.committed.take(), &self.lease) else {
            return;
        };
        let mut tops: BTreeMap<(RoomId, u64), u64> = BTreeMap::new();
        for (room, event) in batch.entries.iter().filter_map(|entry| entry.read()) {
            tops.insert((room.clone(), event.epoch), event.seq);
        }
        let tops = tops.into_iter();
        let tops: Vec<(RoomId, Position)> = tops
            .map(|((room, epoch), seq)| (room, Position::new(epoch, seq)))
            .collect();
        system.store.mark_archived(&tops).await.unwrap();
        let last = batch.entries.last().unwrap().id;
        let moved = system
            .store
            .move_mark(lease, last, batch.entries.len(), &ROLES);
        match moved.await {
            Ok(_) => {
                assert_eq!(expected.redis.holder, Some(self.number), "a zombie's mark");
                self.place = last;
            }
            Err(Error::Fenced(_)) => self.lease = None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Installs the archive's epoch for this run, as an archiver does who finds it ahead.
async fn raise(system: &System, expected: &mut Expected) {
    let store = &system.store;
    let refused = store.install_epoch(PARTITION, 0, "").await;
    let Err(Error::NeedEpoch { run_id }) = refused else {
        panic!("{refused:?}")
    };
    let known = store.epoch(PARTITION).await.unwrap();
    let epoch = system
        .archive
        .allocate_epoch(PARTITION.0, &run_id, known)
        .await
        .unwrap();
    expected.epoch = expected.epoch.max(epoch);
    store
        .install_epoch(PARTITION, epoch, &run_id)
        .await
        .unwrap();
    expected.installed(epoch);
}

async fn read(system: &System, place: LogId) -> Option<Batch> {
    let wait = Duration::from_millis(1);
    let mut reader = system.store.reader(1000, wait).unwrap();
    reader.read(&[(PARTITION, place)]).await.unwrap().pop()
}

/// Fan-out has done everything so far, so that the log may be trimmed.
pub async fn fan_out(system: &System) {
    let store = &system.store;
    let me = process("fanout");
    let taken = store.take_lease(PARTITION, ROLES[1], &me, LEASE, 0);
    let lease = taken.await.unwrap().unwrap();
    let mark = store.mark(PARTITION, ROLES[1]).await.unwrap();
    if let Some(batch) = read(system, mark).await {
        let last = batch.entries.last().unwrap().id;
        let count = batch.entries.len();
        store.move_mark(&lease, last, count, &[]).await.unwrap();
    }
}

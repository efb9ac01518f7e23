//! The archive in one SQLite file.
//!
//! One thread writes, a few read; calls reach them through bounded queues, and no asynchronous
//! thread ever waits for a disk. Commits that wait at the same time share a transaction, and so
//! one sync of the disk: with many partitions that is what sets the rate.
//!
//! Several processes may open the file. Writers wait for each other up to [`BUSY`]; a process
//! that is *stopped* (SIGSTOP) within the milliseconds of its transaction holds them up until it
//! goes on or dies, which no lease can mend. PostgreSQL has a timeout against that.
//!
//! [`BUSY`]: connection::BUSY

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};

use crate::archive::{Archive, Checkpoint, Commit, CommitError, Committed, High, RecentId};
use crate::error::{Error, Result};
use crate::page::{self, Range};
use crate::row;
use crate::search::{Found, Scan, Search};

mod commit;
mod connection;
mod partition;
mod read;
mod search;
mod thread;

use commit::Writing;
use thread::{Readers, Writer};

/// How long opening may wait for another process that opens the same new file.
const OPENING: Duration = Duration::from_secs(10);

/// The archive in a SQLite file.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens or makes the file at `path`.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = checked(path)?;
        let until = Instant::now() + OPENING;
        loop {
            let path = path.clone();
            let opened = tokio::task::spawn_blocking(move || Self::start(&path)).await;
            match opened.unwrap_or_else(|_| Err(thread::ended())) {
                // Turning on the log and the first migration want the file for themselves.
                Err(Error::Unavailable(_)) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
    }

    fn start(path: &Path) -> Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| {
                Error::Refused(format!("making {}: {error}", directory.display()))
            })?;
        }
        let writer = connection::writer(path)?;
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let readers = (0..processors.clamp(2, 4))
            .map(|_| connection::reader(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            writer: Writer::start(writer)?,
            readers: Readers::start(readers)?,
        })
    }
}

/// The path in an address; `sqlite:PATH` and `sqlite://PATH` are the same.
fn checked(path: &Path) -> Result<PathBuf> {
    let path = path
        .to_str()
        .and_then(|path| path.strip_prefix("//"))
        .map_or(path, Path::new);
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        return Err(Error::Address(
            "sqlite: must be followed by the path of a file".into(),
        ));
    }
    Ok(path.to_owned())
}

#[async_trait]
impl Archive for Sqlite {
    async fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>> {
        self.readers
            .run(move |connection| partition::checkpoint(connection, partition))
            .await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, CommitError> {
        let rows = row::columns(commit.rows).await?;
        let (writing, outcome) = Writing::new(commit, rows)?;
        self.writer.commit(writing).await?;
        outcome
            .await
            .unwrap_or_else(|_| Err(thread::ended().into()))
    }

    async fn allocate_epoch(&self, partition: u16, run_id: &str, above: u64) -> Result<u64> {
        let run_id = run_id.to_owned();
        let allocate = move |connection: &mut _| {
            partition::allocate_epoch(connection, partition, &run_id, page::clamped(above))
        };
        self.writer.run(allocate).await
    }

    async fn high(&self, room: &RoomId) -> Result<Option<High>> {
        let room = room.clone();
        self.readers
            .run(move |connection| read::high(connection, &room))
            .await
    }

    async fn page(&self, room: &RoomId, range: Range) -> Result<Vec<Event>> {
        let room = room.clone();
        self.readers
            .run(move |connection| read::page(connection, &room, range))
            .await
    }

    async fn messages_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>> {
        let room = room.clone();
        self.readers
            .run(move |connection| read::messages_at(connection, &room, seq))
            .await
    }

    async fn find(
        &self,
        room: &RoomId,
        sender: Option<&UserId>,
        id: &MessageId,
    ) -> Result<Option<Event>> {
        let (room, sender, id) = (room.clone(), sender.cloned(), id.clone());
        let find = move |connection: &mut _| read::find(connection, &room, sender.as_ref(), &id);
        self.readers.run(find).await
    }

    async fn recent_ids(
        &self,
        room: &RoomId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<RecentId>> {
        let room = room.clone();
        let read = move |connection: &mut _| read::recent_ids(connection, &room, after_seq, limit);
        self.readers.run(read).await
    }

    async fn happenings(&self, room: &RoomId, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        let room = room.clone();
        let read = move |connection: &mut _| read::happenings(connection, &room, after_seq, limit);
        self.readers.run(read).await
    }

    async fn identity(&self) -> Result<String> {
        self.readers
            .run(|connection| read::identity(connection))
            .await
    }

    async fn search(&self, search: Search<'_>) -> Result<Found> {
        let scan = Scan::new(search);
        self.readers
            .run(move |connection| search::run(connection, scan))
            .await
    }
}

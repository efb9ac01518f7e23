//! The archive in PostgreSQL (12 or later), which several hosts can share.
//!
//! A process keeps at most [`SESSIONS`] connections. They are plain: this build speaks no TLS, so
//! the server should be reached by a unix socket, a loopback address, a private network or a
//! tunnel. An address that demands TLS is refused rather than ignored.
//!
//! [`SESSIONS`]: pool::SESSIONS

use async_trait::async_trait;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};

use crate::archive::{Archive, Checkpoint, Commit, CommitError, Committed, High, RecentId};
use crate::error::Result;
use crate::page::Range;
use crate::row;
use crate::search::{Found, Scan, Search};

mod address;
mod commit;
mod failure;
mod partition;
mod pool;
mod read;
mod schema;
mod search;
mod session;

use pool::Pool;

/// The archive in a PostgreSQL database.
pub(crate) struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Connects to the database of a URL and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self> {
        let config = address::parse(url)?;
        schema::prepare(&config).await?;
        Ok(Self {
            pool: Pool::new(config),
        })
    }
}

#[async_trait]
impl Archive for Postgres {
    async fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>> {
        let lent = self.pool.lend().await?;
        let checkpoint = partition::checkpoint(&lent, partition).await;
        lent.settle(checkpoint)
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, CommitError> {
        let rows = row::columns(commit.rows).await?;
        let mut lent = self.pool.lend().await?;
        let outcome = commit::run(&mut lent, commit, &rows).await;
        lent.settle(outcome)?
    }

    async fn allocate_epoch(&self, partition: u16, run_id: &str, above: u64) -> Result<u64> {
        let lent = self.pool.lend().await?;
        let epoch = partition::allocate_epoch(&lent, partition, run_id, above).await;
        lent.settle(epoch)
    }

    async fn high(&self, room: &RoomId) -> Result<Option<High>> {
        let lent = self.pool.lend().await?;
        let high = read::high(&lent, room).await;
        lent.settle(high)
    }

    async fn page(&self, room: &RoomId, range: Range) -> Result<Vec<Event>> {
        let lent = self.pool.lend().await?;
        let page = read::page(&lent, room, range).await;
        lent.settle(page)
    }

    async fn messages_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>> {
        let lent = self.pool.lend().await?;
        let messages = read::messages_at(&lent, room, seq).await;
        lent.settle(messages)
    }

    async fn find(
        &self,
        room: &RoomId,
        sender: Option<&UserId>,
        id: &MessageId,
    ) -> Result<Option<Event>> {
        let lent = self.pool.lend().await?;
        let event = read::find(&lent, room, sender, id).await;
        lent.settle(event)
    }

    async fn recent_ids(
        &self,
        room: &RoomId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<RecentId>> {
        let lent = self.pool.lend().await?;
        let ids = read::recent_ids(&lent, room, after_seq, limit).await;
        lent.settle(ids)
    }

    async fn happenings(&self, room: &RoomId, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        let lent = self.pool.lend().await?;
        let events = read::happenings(&lent, room, after_seq, limit).await;
        lent.settle(events)
    }

    async fn identity(&self) -> Result<String> {
        let lent = self.pool.lend().await?;
        let identity = read::identity(&lent).await;
        lent.settle(identity)
    }

    async fn search(&self, search: Search<'_>) -> Result<Found> {
        let scan = Scan::new(search);
        let lent = self.pool.lend().await?;
        let found = search::run(&lent, scan).await;
        lent.settle(found)
    }
}

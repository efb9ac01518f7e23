//! The times and counts of an archive, whichever database holds it.

use std::time::Instant;

use async_trait::async_trait;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};
use metrics::{counter, histogram};

use crate::archive::{Archive, Checkpoint, Commit, CommitError, Committed, High, RecentId};
use crate::error::Result;
use crate::page::Range;
use crate::search::{Found, Search};

/// An archive that is measured.
pub(crate) struct Metered<A>(A);

impl<A: Archive> Metered<A> {
    pub fn new(archive: A) -> Self {
        Self(archive)
    }
}

/// Counts are per batch. An archive that must mark or refuse rows is news for operators, so both
/// have a counter and a line in the log.
fn count(commit: Commit<'_>, committed: Committed) {
    let amount = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    counter!("chinwag_archive_rows_total").increment(amount(committed.inserted));
    if committed.duplicates > 0 {
        counter!("chinwag_archive_duplicates_total").increment(amount(committed.duplicates));
        let (partition, rows) = (commit.partition, committed.duplicates);
        tracing::warn!(
            partition,
            rows,
            "message ids archived before under other sequences"
        );
    }
    if committed.conflicts > 0 {
        counter!("chinwag_archive_conflicts_total").increment(amount(committed.conflicts));
        let (partition, rows) = (commit.partition, committed.conflicts);
        tracing::error!(
            partition,
            rows,
            "sequences archived before with other events, kept those"
        );
    }
}

#[async_trait]
impl<A: Archive> Archive for Metered<A> {
    async fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>> {
        self.0.checkpoint(partition).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, CommitError> {
        let begun = Instant::now();
        let committed = self.0.commit(commit).await?;
        histogram!("chinwag_archive_commit_seconds").record(begun.elapsed());
        count(commit, committed);
        Ok(committed)
    }

    async fn allocate_epoch(&self, partition: u16, run_id: &str, above: u64) -> Result<u64> {
        let epoch = self.0.allocate_epoch(partition, run_id, above).await?;
        tracing::debug!(partition, epoch, run_id, "epoch of this run");
        Ok(epoch)
    }

    async fn high(&self, room: &RoomId) -> Result<Option<High>> {
        self.0.high(room).await
    }

    async fn page(&self, room: &RoomId, range: Range) -> Result<Vec<Event>> {
        let begun = Instant::now();
        let page = self.0.page(room, range).await?;
        histogram!("chinwag_archive_page_seconds").record(begun.elapsed());
        Ok(page)
    }

    async fn messages_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>> {
        self.0.messages_at(room, seq).await
    }

    async fn find(
        &self,
        room: &RoomId,
        sender: Option<&UserId>,
        id: &MessageId,
    ) -> Result<Option<Event>> {
        self.0.find(room, sender, id).await
    }

    async fn recent_ids(
        &self,
        room: &RoomId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<RecentId>> {
        self.0.recent_ids(room, after_seq, limit).await
    }

    async fn happenings(&self, room: &RoomId, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        self.0.happenings(room, after_seq, limit).await
    }

    async fn identity(&self) -> Result<String> {
        self.0.identity().await
    }

    async fn search(&self, search: Search<'_>) -> Result<Found> {
        let begun = Instant::now();
        let found = self.0.search(search).await?;
        histogram!("chinwag_archive_search_seconds").record(begun.elapsed());
        Ok(found)
    }
}

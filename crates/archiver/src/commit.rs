//! Archive, tell the rooms, mark and trim: in this order, each repeatable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::{Archive, Commit, CommitError, Range, Row};
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_runtime::Context;
use chinwag_store::lease::Lease;
use chinwag_store::log::{Batch, LogId};
use chinwag_store::{Partition, Store};
use chinwag_worker::{Consumer, Failure};
use metrics::{counter, gauge};

use crate::batch;
use crate::config::{Config, Error};
use crate::epoch;

/// Archives the events of this process's share of the partitions, until the context stops.
///
/// # Errors
/// When a setting is wrong. What may pass by itself is waited for.
pub async fn run(
    config: Config,
    store: Store,
    archive: Arc<dyn Archive>,
    context: Context,
) -> Result<(), Error> {
    let archiver = Archiver {
        store: store.clone(),
        archive,
    };
    chinwag_worker::run(config.into(), store, archiver, &context).await
}

struct Archiver {
    store: Store,
    archive: Arc<dyn Archive>,
}

/// What is remembered of a partition.
struct Share {
    /// How far the archive has it.
    done: LogId,
    /// How far it had it before this share began: from whichever Redis was current then.
    before: LogId,
}

impl Consumer for Archiver {
    type Share = Share;
    const ROLE: &'static str = "archiver";
    const TRIM_AFTER: &'static [&'static str] = &["archiver", "fanout"];
    /// Who waits for the archive waits this much longer, at most.
    const REST: Duration = Duration::from_millis(100);

    async fn open(&self, lease: &Lease, mark: LogId) -> Result<(Share, LogId), Failure> {
        let partition = lease.partition;
        let checkpoint = self.archive.checkpoint(partition.0).await;
        let Some(checkpoint) = checkpoint.map_err(|error| unavailable(&error))? else {
            let done = LogId::default();
            warn_if_ahead(partition, mark, done);
            let before = done;
            return Ok((Share { done, before }, done));
        };
        // A Redis that lost its tail hands out tokens again that the archive has seen.
        if lease.token <= checkpoint.token {
            let above = checkpoint.token;
            return Err(Failure::Fenced { above });
        }
        if checkpoint.epoch > self.store.epoch(partition).await? {
            epoch::raise(&self.store, &*self.archive, partition).await?;
        }
        let done: LogId = checkpoint.log_id.parse()?;
        warn_if_ahead(partition, mark, done);
        // From the mark if that is behind, so that it catches up and counts what it passes.
        let before = done;
        Ok((Share { done, before }, done.min(mark)))
    }

    async fn apply(&self, share: &mut Share, lease: &Lease, batch: &Batch) -> Result<(), Failure> {
        let rows = batch::rows(&batch.entries, share.done);
        let (rows, mut certain) = self.still_true(rows, batch.epoch).await?;
        // What is passed over because something later is archived already may be another server's.
        certain &= rows.len() == batch.entries.len();
        let last = batch.entries.last().map(|entry| entry.id);
        if let Some(upto) = last.filter(|last| *last > share.done) {
            let commit = Commit {
                partition: batch.partition.0,
                token: lease.token,
                epoch: batch.epoch,
                rows: &rows,
                upto: &upto.to_string(),
            };
            match self.archive.commit(commit).await {
                Ok(committed) => {
                    certain &= committed.conflicts == 0;
                    share.done = upto;
                }
                Err(CommitError::Fenced { token, epoch }) => {
                    return Err(self.fenced(lease, batch, token, epoch).await);
                }
                Err(CommitError::Failed(error)) => return Err(unavailable(&error)),
            }
        }
        let mut tops = batch::tops(&batch.entries);
        let before = batch.entries.first();
        certain &= before.is_none_or(|first| first.id > share.before);
        if !certain {
            tops = self.confirmed(tops).await?;
        }
        Ok(self.store.mark_archived(&tops).await?)
    }

    fn behind(&self, oldest: Duration) {
        gauge!("chinwag_archive_lag_seconds").set(oldest.as_secs_f64());
    }

    fn trimmed(&self, count: u64) {
        counter!("chinwag_archive_trimmed_entries_total").increment(count);
    }
}

impl Archiver {
    /// Of rows of a log, those that still are true. A former primary that went on alone, and is the
    /// primary again, has events that nobody else ever saw; where others took their places, in an
    /// epoch that is archived already, they must not be mixed with those. Says whether that is all
    /// of them.
    async fn still_true(&self, rows: Vec<Row>, epoch: u64) -> Result<(Vec<Row>, bool), Failure> {
        let mut ended: BTreeMap<RoomId, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.event.epoch < epoch) {
            if !ended.contains_key(&row.room) {
                let high = self.archive.high(&row.room).await;
                let high = high.map_err(|error| unavailable(&error))?;
                ended.insert(row.room.clone(), high.map_or(0, |high| high.epoch));
            }
        }
        let before = rows.len();
        let is_true = |row: &Row| {
            let last = ended.get(&row.room).copied();
            last.is_none_or(|last| row.event.epoch >= last)
        };
        let rows: Vec<Row> = rows.into_iter().filter(is_true).collect();
        let dropped = before - rows.len();
        if dropped > 0 {
            counter!("chinwag_archive_diverged_total").increment(dropped as u64);
            tracing::error!(
                dropped,
                epoch,
                "this Redis has events of an epoch that went on elsewhere without them; their \
                 senders were never told that they were archived, and send them again"
            );
        }
        Ok((rows, dropped == 0))
    }

    /// Of these places, those that the archive has. What stands in a log before the checkpoint need
    /// not be there: another Redis may have been current meanwhile, and this one have gone on
    /// without knowing. Then nobody must be told that it is durable.
    async fn confirmed(
        &self,
        tops: Vec<(RoomId, Position)>,
    ) -> Result<Vec<(RoomId, Position)>, Failure> {
        let mut confirmed = Vec::with_capacity(tops.len());
        for (room, position) in tops {
            let page = self.archive.page(&room, Range::from(position.seq, 1)).await;
            let page = page.map_err(|error| unavailable(&error))?;
            let has = |event: &Event| (event.seq, event.epoch) == (position.seq, position.epoch);
            if page.first().is_some_and(has) {
                confirmed.push((room, position));
            }
        }
        Ok(confirmed)
    }

    /// What to do about a commit that the archive refused.
    async fn fenced(&self, lease: &Lease, batch: &Batch, token: u64, epoch: u64) -> Failure {
        tracing::warn!(
            partition = batch.partition.0,
            token,
            epoch,
            our_token = lease.token,
            our_epoch = batch.epoch,
            "the archive refuses a commit"
        );
        if epoch > batch.epoch {
            // It may be installed already, and only be news to this batch.
            let installed = match self.store.epoch(batch.partition).await {
                Ok(installed) => installed,
                Err(error) => return error.into(),
            };
            if epoch > installed
                && let Err(failure) =
                    epoch::raise(&self.store, &*self.archive, batch.partition).await
            {
                return failure;
            }
        }
        // A new lease, a new look at everything.
        Failure::Fenced { above: token }
    }
}

fn unavailable(error: &chinwag_archive::Error) -> Failure {
    Failure::Later(error.to_string())
}

/// An archive that is behind the mark was put back to an earlier state: what was trimmed since is
/// gone, and somebody must know.
fn warn_if_ahead(partition: Partition, mark: LogId, done: LogId) {
    if mark > done {
        tracing::error!(
            partition = partition.0,
            mark = %mark,
            archived = %done,
            "the archive is behind what was trimmed: if it was restored from a backup, events are \
             missing in it; archiving what the log still has"
        );
    }
}

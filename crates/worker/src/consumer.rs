//! What a role does with the entries of the logs.

use std::future::Future;
use std::time::Duration;

use chinwag_store::lease::Lease;
use chinwag_store::log::{Batch, LogId};
use thiserror::Error as ThisError;

/// A role's way with entries.
///
/// One value serves all partitions of a worker. What belongs to one partition is its
/// [`Consumer::Share`], which lives from [`Consumer::open`] until the partition is closed or lost.
/// Futures are dropped midway when a partition is lost or takes too long.
pub trait Consumer: Send + Sync + 'static {
    /// What is remembered of one partition.
    type Share: Send;

    /// The role, as it stands in keys and metric labels.
    const ROLE: &'static str;

    /// The roles that must have done an entry before it is trimmed; none: this role does not trim.
    const TRIM_AFTER: &'static [&'static str] = &[];

    /// The most that a worker rests between two rounds with entries: three times as long as the
    /// round took, up to here. What comes meanwhile is done together, so that a busy log costs few
    /// calls and commits for many events; when little comes, it is done almost at once.
    const REST: Duration = Duration::ZERO;

    /// Begins with a partition. `mark` is how far its role has done it, as Redis knows.
    ///
    /// Says where to read from. If that is before the mark, entries up to the mark come again.
    fn open(
        &self,
        lease: &Lease,
        mark: LogId,
    ) -> impl Future<Output = Result<(Self::Share, LogId), Failure>> + Send;

    /// Does what entries ask for. When this returns, the mark moves over them. All of it may have
    /// happened before, wholly or in part.
    fn apply(
        &self,
        share: &mut Self::Share,
        lease: &Lease,
        batch: &Batch,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Does what is due by time. Called after every read, so at least about twice a second.
    fn tick(
        &self,
        _share: &mut Self::Share,
        _lease: &Lease,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }

    /// Does what was put off, because the partition goes to another worker in good order.
    fn close(
        &self,
        _share: &mut Self::Share,
        _lease: &Lease,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }

    /// Hears how old the oldest entry is that is not done, in all partitions of this worker.
    fn behind(&self, _oldest: Duration) {}

    /// Hears that entries were trimmed.
    fn trimmed(&self, _count: u64) {}
}

/// Why entries could not be done.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Failure {
    /// Something is away: the same again, later. The text is for operators.
    #[error("{0}")]
    Later(String),
    /// Somebody remembers a later holder: give the partition back, and take it anew with a token
    /// above this one if it is still to be had.
    #[error("fenced: the token must be above {above}")]
    Fenced {
        /// The highest token that is known.
        above: u64,
    },
}

impl From<chinwag_store::Error> for Failure {
    fn from(error: chinwag_store::Error) -> Self {
        match error {
            chinwag_store::Error::Fenced(_) => Failure::Fenced { above: 0 },
            error => Failure::Later(error.to_string()),
        }
    }
}

//! What an archive does, whichever database holds it.

use async_trait::async_trait;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};
use chinwag_protocol::position::Position;
use thiserror::Error as ThisError;

use crate::error::{Error, Result};
use crate::page::Range;
use crate::row::Row;
use crate::search::{Found, Search};

/// The archive of events. Every call may be repeated: twice is the same as once.
///
/// A call waits while the database's bounded queue is full; a caller that cannot wait sets a
/// deadline of its own. A dropped call may still take effect.
#[async_trait]
pub trait Archive: Send + Sync {
    /// How far the log of `partition` has been archived; nothing before the first commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>>;

    /// Writes rows, their words and the checkpoint in one transaction, durably.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] when the partition is in other hands; nothing was written then.
    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, CommitError>;

    /// The epoch of `partition` for the Redis process `run_id`: a new one, higher than any before
    /// and than `above` (what that Redis itself remembers), the first time it is asked; the same
    /// one ever after. It only rises, even if Redis or this archive was emptied in between.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn allocate_epoch(&self, partition: u16, run_id: &str, above: u64) -> Result<u64>;

    /// The last archived event of a room.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn high(&self, room: &RoomId) -> Result<Option<High>>;

    /// Events of a room, in the order that the range asks for.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again. [`Error::Corrupt`]: a row that cannot be read.
    async fn page(&self, room: &RoomId, range: Range) -> Result<Vec<Event>>;

    /// How many messages the room had up to and including `seq`; nothing if the archive holds
    /// no event that early.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn messages_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>>;

    /// The event that `sender` (nobody: the server API) named `id`.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again. [`Error::Corrupt`]: a row that cannot be read.
    async fn find(
        &self,
        room: &RoomId,
        sender: Option<&UserId>,
        id: &MessageId,
    ) -> Result<Option<Event>>;

    /// The message ids of a room after `after_seq`, ascending, at most `limit` (of [`PAGE_MOST`]):
    /// what a Redis that lost its tail must learn again to recognise what is sent twice.
    ///
    /// [`PAGE_MOST`]: crate::PAGE_MOST
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn recent_ids(
        &self,
        room: &RoomId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<RecentId>>;

    /// What happened to a room itself after `after_seq`, ascending, at most `limit` (of
    /// [`PAGE_MOST`]): how it was made, and who came and went.
    ///
    /// [`PAGE_MOST`]: crate::PAGE_MOST
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again. [`Error::Corrupt`]: a row that cannot be read.
    async fn happenings(&self, room: &RoomId, after_seq: u64, limit: usize) -> Result<Vec<Event>>;

    /// A word that was made at random with this archive, and stays with it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again.
    async fn identity(&self) -> Result<String>;

    /// Messages whose text has all that the query asks for, in the given rooms and no others,
    /// newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: try again. [`Error::Corrupt`]: a row that cannot be read.
    async fn search(&self, search: Search<'_>) -> Result<Found>;
}

/// One commit of an archiver.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The number of the partition.
    pub partition: u16,
    /// The fencing token of the archiver's lease on it.
    pub token: u64,
    /// The epoch that the Redis it reads from has for it.
    pub epoch: u64,
    /// The events, in the order of the log. May be empty.
    pub rows: &'a [Row],
    /// The log id of the last entry that these rows cover.
    pub upto: &'a str,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows that were not there before.
    pub inserted: usize,
    /// Of those, rows whose sender's message id is archived under an earlier sequence. They are
    /// kept and marked; more than none means that deduplication in Redis forgot something.
    pub duplicates: usize,
    /// Rows that were there already, as they are.
    pub replayed: usize,
    /// Rows whose place holds something else. The archive keeps what it has; more than none
    /// means that a sequence was used twice, which the epoch fence exists to prevent.
    pub conflicts: usize,
}

/// Why a commit was not made.
#[derive(Debug, ThisError)]
pub enum CommitError {
    /// A later owner has committed, or a later epoch was allocated: stop working on this
    /// partition, and read lease and epoch again.
    #[error("the partition is fenced: the archive has token {token} and epoch {epoch}")]
    Fenced {
        /// The highest token that committed.
        token: u64,
        /// The highest epoch.
        epoch: u64,
    },
    /// Nothing was written, or at least not confirmed: do it again.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// How far a partition's log has been archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last archived log entry.
    pub log_id: String,
    /// The fencing token of who archived it.
    pub token: u64,
    /// The highest epoch of the partition.
    pub epoch: u64,
}

/// The last archived event of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct High {
    /// Its sequence.
    pub seq: u64,
    /// The room's messages up to and including it.
    pub messages: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Its time, in milliseconds since 1970.
    pub time: u64,
}

/// A message id and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentId {
    /// Whose name for the event it is; nobody for the server API.
    pub sender: Option<UserId>,
    /// The name.
    pub id: MessageId,
    /// Where the event is.
    pub position: Position,
    /// Its time, in milliseconds since 1970.
    pub time: u64,
}

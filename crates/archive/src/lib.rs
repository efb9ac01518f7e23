//! The SQL archive: every event of every room, for good, and the words in them.
//!
//! Owns the tables, the migrations, the word index and the two databases that can hold them
//! behind one trait, [`Archive`]: SQLite (one host, no server) and PostgreSQL (several hosts).
//! Both pass the same conformance suite.
//!
//! Never knows about Redis: a log id is a text that it gives back, an epoch is a number that only
//! rises. The archive is the authority for epochs and for what is durable, because it is the one
//! store here that never takes back what it has said.
//!
//! # Tables
//!
//! They are meant to be read by people and their tools (write to them through this crate only).
//! In PostgreSQL they live in the schema `chinwag`.
//!
//! `events`, one row an event, primary key `(room, seq)`:
//!
//! | column | holds |
//! |---|---|
//! | `room` | room id |
//! | `seq` | the room's sequence, dense from 1 |
//! | `epoch` | the partition's epoch when the sequence was given |
//! | `time` | milliseconds since 1970, by Redis's clock |
//! | `messages` | how many messages the room has had, this event included |
//! | `kind` | `message`, `publication`, `member` or `room` |
//! | `sender` | user id; empty for what the server API did |
//! | `client` | the connection it came through, or null |
//! | `message_id` | the sender's name for it, or null |
//! | `content` | JSON text, to the letter: the body of a message, the data of a publication, `{"user","change","role"}`, `{"change","name","topic"}` |
//! | `duplicate_of` | null; or the earlier `seq` under which the same sender's same id is archived |
//! | `text_number` | its row in `texts`, or null without text |
//!
//! `(room, sender, message_id)` is unique among rows that are no duplicates (its index begins with
//! the id, because ids that are UUIDs of version 7 then arrive at its end). A duplicate keeps its
//! sequence *and* its content: the sequence stays dense, nothing anybody wrote is thrown away, and
//! readers see in a page what they saw live, the id included, by which they know it.
//!
//! `partitions`, one row a partition: `epoch`, the `run_id` of the Redis that it was allocated for,
//! the archiver's checkpoint `log_id` and the highest fencing `token` that committed.
//!
//! `texts` numbers the messages that have text, newest highest; `words` (an FTS5 table in SQLite,
//! the column `tokens` with a GIN index in PostgreSQL) holds the set of their tokens, see
//! [`tokenize`].
//!
//! # Durability
//!
//! A commit that returned is on disk: SQLite runs in WAL mode with `synchronous = FULL` (`NORMAL`
//! would lose the last commits with the power, and the ack `archived` promises the opposite);
//! a PostgreSQL session with `synchronous_commit = off` is set to `on`.

// In reading order: what an archive does, what it holds, how it is searched, and who does it.
mod archive;
mod error;

mod page;
mod row;

mod search;
pub mod tokenize;

mod metered;
mod migrate;
mod open;

mod postgres;
mod sqlite;

pub use archive::{Archive, Checkpoint, Commit, CommitError, Committed, High, RecentId};
pub use error::{Error, Result};
pub use open::open;
pub use page::{PAGE_MOST, Range};
pub use row::Row;
pub use search::{Found, Match, Query, SEARCH_MOST, Search};

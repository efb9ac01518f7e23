//! The archiver: moves every event from the partitions' logs into the archive, and trims what is
//! archived.
//!
//! It owns the order of three steps, each of which may be repeated: the batch and its checkpoint
//! in one transaction of the archive, then word to the rooms how far they are archived, then the
//! mark in Redis, behind which the log is trimmed. So nothing is trimmed before it is durable, and
//! nothing is archived twice. It must never know what an event is for.
//!
//! # Who is right about how far it is
//!
//! The archive's checkpoint, always: it was written together with the rows. The mark in Redis only
//! follows. If it is behind, entries come again until it has caught up, and are not committed
//! again; if it is ahead (the archive was put back to an earlier state), it goes back, and what
//! the log still has is archived anew.
//!
//! # The fence
//!
//! A commit carries the token of the lease and the partition's epoch as the server said it from
//! which the entries come. The archive refuses both an archiver that was overtaken and a Redis
//! that was replaced ([`Commit`](chinwag_archive::Commit)). If the archive's epoch is above
//! Redis's, an epoch was allocated and never installed: this crate does that (`epoch.rs`).
//!
//! # An entry that cannot be read
//!
//! It must neither stop the log nor leave a hole in a room. If its head can be read, its sequence
//! is archived as a publication of nobody, whose data holds the whole record:
//! `{"unreadable":{"log_id":"1-5","record":"<base64>"}}`. Without a readable head it has no
//! sequence that anybody knows of, and is skipped. Both are logged and counted.

mod batch;
mod commit;
pub mod config;
mod epoch;

pub use commit::run;
pub use config::{Config, Error};

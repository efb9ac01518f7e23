//! What can go wrong, by what the caller does next.

use thiserror::Error;

/// A result of the archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the archive did not answer. No message holds a password or anybody's words.
#[derive(Debug, Error)]
pub enum Error {
    /// The address is wrong: correct the setting.
    #[error("archive address: {0}")]
    Address(String),
    /// A newer chinwag has been here: start that one.
    #[error(
        "the archive has schema version {found}, this chinwag knows versions up to {known}: \
         start a newer chinwag, or restore the archive from before its upgrade"
    )]
    SchemaTooNew {
        /// What the archive has.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// The place holds something else: correct the setting.
    #[error("{0} is a database of another program, not a chinwag archive")]
    Foreign(String),
    /// The database is away, busy or full: try again, later.
    #[error("archive unavailable: {0}")]
    Unavailable(String),
    /// The database will not do it however often it is asked: an operator must look.
    #[error("archive refused: {0}")]
    Refused(String),
    /// A row cannot be read: an operator must look.
    #[error("archived event {seq} of room {room}: {problem}")]
    Corrupt {
        /// Its room.
        room: String,
        /// Its sequence.
        seq: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

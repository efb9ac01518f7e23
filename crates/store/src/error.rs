//! Why something could not be done in Redis; each variant is another next move.

use chinwag_protocol::id::RoomId;
use thiserror::Error;

/// What the caller will do now.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// Wait and try again: Redis cannot be reached, is loading, or took too long. A command that
    /// timed out may have been done.
    #[error("reach Redis: {0}")]
    Unavailable(String),
    /// Refuse writes until memory is free or the disk is writable again.
    #[error("write to Redis: {0}")]
    Full(String),
    /// Have the archive allocate an epoch for this run of the server, install it, try again.
    #[error("append: the partition has no epoch for the server's run {run_id}")]
    NeedEpoch {
        /// The run of the server that answered.
        run_id: String,
    },
    /// Bring this room into the current epoch, then try again.
    #[error("append: room {room} is not reconciled in epoch {epoch}")]
    NeedReconcile {
        /// The room.
        room: RoomId,
        /// The epoch that is current.
        epoch: u64,
    },
    /// Another process has taken over what the caller believed to hold: let go of it.
    #[error("write as a holder: {0}")]
    Fenced(String),
    /// What is stored is not what this version writes; a person has to look.
    #[error("read a stored {what}: {problem}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Redis refused the command; a bug of ours or a setting of theirs.
    #[error("run {command}: {problem}")]
    Refused {
        /// The command or function.
        command: &'static str,
        /// Redis's words.
        problem: String,
    },
}

impl Error {
    /// The error behind a failed command.
    pub(crate) fn of(command: &'static str, error: &redis::RedisError) -> Self {
        let problem = error.to_string();
        // Of a pipeline the first failure counts; the library itself gives it no code.
        let answers = error.clone().into_server_errors().unwrap_or_default();
        let answer = answers.first().map(|(_, answer)| answer);
        match answer.map(redis::ServerError::code) {
            Some("NEEDEPOCH") => {
                let run_id = answer.and_then(|answer| answer.details());
                return Error::NeedEpoch {
                    run_id: run_id.unwrap_or_default().to_owned(),
                };
            }
            Some("FENCED" | "STALEEPOCH" | "STALEROOM") => return Error::Fenced(problem),
            Some("OOM" | "MISCONF") => return Error::Full(problem),
            Some(
                "LOADING" | "READONLY" | "MASTERDOWN" | "NOREPLICAS" | "CLUSTERDOWN" | "MOVED"
                | "ASK" | "TRYAGAIN" | "BUSY" | "UNBLOCKED",
            ) => return Error::Unavailable(problem),
            _ => {}
        }
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
            return Error::Unavailable(problem);
        }
        Error::Refused { command, problem }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Error::Unavailable(_) | Error::Full(_) | Error::NeedEpoch { .. }
        )
    }

    /// A word for metric labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unavailable(_) => "unavailable",
            Error::Full(_) => "full",
            Error::NeedEpoch { .. } => "need_epoch",
            Error::NeedReconcile { .. } => "need_reconcile",
            Error::Fenced(_) => "fenced",
            Error::Corrupt { .. } => "corrupt",
            Error::Refused { .. } => "refused",
        }
    }

    pub(crate) fn corrupt(what: &'static str, problem: impl std::fmt::Display) -> Self {
        Error::Corrupt {
            what,
            problem: problem.to_string(),
        }
    }
}

/// The result of an operation in Redis.
pub type Result<T, E = Error> = std::result::Result<T, E>;

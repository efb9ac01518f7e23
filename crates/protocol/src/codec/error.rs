//! What can be wrong with a frame.

use thiserror::Error;

use crate::code::{Code, Refusal};

/// A message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// One command is malformed; the frame's other commands are not. Refuse it with
    /// [`DecodeError::refusal`] under its id and go on.
    #[error("{field}: {problem}")]
    Command {
        /// The command's id, never 0.
        id: u32,
        /// The field at fault, from the outermost in: `history.since.offset`.
        field: String,
        /// What is wrong, with the limit and what was given.
        problem: String,
    },
    /// The frame is malformed, or a command so much so that there is no id to refuse it under.
    /// Close the connection ([`Close::BadRequest`](crate::code::Close::BadRequest)).
    #[error("{field}: {problem}")]
    Frame {
        /// The field at fault.
        field: String,
        /// What is wrong, with the limit and what was given.
        problem: String,
    },
}

impl DecodeError {
    pub(crate) fn frame(field: impl Into<String>, problem: impl Into<String>) -> Self {
        DecodeError::Frame {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The fault of the command `id`, or of the frame if the id is 0.
    pub(crate) fn of(id: u32, field: String, problem: String) -> Self {
        match id {
            0 => DecodeError::Frame { field, problem },
            id => DecodeError::Command { id, field, problem },
        }
    }

    /// What to tell the peer.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::new(Code::BadRequest, self.to_string())
    }
}

/// A message that cannot be said in an encoding.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("message cannot be encoded: {0}")]
pub struct EncodeError(pub(crate) String);

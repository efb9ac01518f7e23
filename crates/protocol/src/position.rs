//! Where in a room's log something is.

use serde::{Deserialize, Serialize};

/// A place in a room's log: its sequence, and the epoch of the partition in which it was given.
///
/// Sequences are dense from 1 and never reused. The epoch grows when the Redis server that
/// counts them may have lost a tail (restart, failover).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// Allocated by the archive, from 1. 0 is "before any".
    pub epoch: u64,
    /// The room's sequence. 0 is "before the first event".
    pub seq: u64,
}

impl Position {
    /// The position `seq` of `epoch`.
    #[must_use]
    pub fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

/// The epoch as it stands on the wire, where it is a text.
#[must_use]
pub fn epoch_text(epoch: u64) -> String {
    epoch.to_string()
}

/// An epoch from the wire. The empty text is "any" and gives `None`; a text that no epoch of
/// ours has is one that nothing matches, and gives `Some(0)`.
#[must_use]
pub fn epoch_from_text(text: &str) -> Option<u64> {
    (!text.is_empty()).then(|| text.parse().unwrap_or(0))
}

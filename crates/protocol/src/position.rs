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

/// An epoch from the wire. The empty text is "any" and gives 0. A text that no epoch of ours has
/// (SDKs send `_` when they were told to forget) gives one that is later than all.
#[must_use]
pub fn epoch_from_text(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let epoch = text.parse().ok();
    epoch.filter(|epoch| *epoch > 0).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_empty_text_is_any_epoch() {
        let check = |text, epoch| assert_eq!(epoch_from_text(text), epoch, "{text:?}");
        check("", 0);
        check("7", 7);
        for foreign in ["0", "_", "-1", "7 ", "0x7", "99999999999999999999"] {
            check(foreign, u64::MAX);
        }
    }
}

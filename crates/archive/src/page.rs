//! Which part of a room's events a reader wants.

/// The most events that one call returns, whatever it asks for.
pub const PAGE_MOST: usize = 1000;

/// A range of sequences, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The lowest sequence wanted.
    pub from_seq: u64,
    /// The highest sequence wanted; `u64::MAX` for no end.
    pub to_seq: u64,
    /// How many events at most; see [`PAGE_MOST`].
    pub limit: usize,
    /// Whether to begin at the low end (and go up) or at the high end (and go down).
    pub ascending: bool,
}

impl Range {
    /// The first `limit` events from `from_seq` on, ascending.
    #[must_use]
    pub fn from(from_seq: u64, limit: usize) -> Self {
        Self {
            from_seq,
            to_seq: u64::MAX,
            limit,
            ascending: true,
        }
    }

    /// The last `limit` events before `seq`, descending; `u64::MAX` for the newest.
    #[must_use]
    pub fn before(seq: u64, limit: usize) -> Self {
        Self {
            from_seq: 0,
            to_seq: seq.saturating_sub(1),
            limit,
            ascending: false,
        }
    }

    /// The same as SQL has it.
    pub(crate) fn bounds(self) -> Bounds {
        Bounds {
            from: clamped(self.from_seq),
            to: clamped(self.to_seq),
            limit: capped(self.limit),
        }
    }
}

/// A range in SQL's integers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub from: i64,
    pub to: i64,
    pub limit: i64,
}

/// A number as the nearest that SQL can hold.
pub(crate) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as SQL has it, at most [`PAGE_MOST`].
pub(crate) fn capped(limit: usize) -> i64 {
    i64::try_from(limit.min(PAGE_MOST)).unwrap_or(i64::MAX)
}

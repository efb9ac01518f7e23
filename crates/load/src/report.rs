//! What a run was and what came of it, for people and for machines.
//!
//! A [`Run`] is all that is told of a run. It is written as JSON, and as one HTML page that needs
//! nothing else.

mod faults;
mod html;
mod machine;
mod page;
mod plot;
mod summary;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::faults::{Fault, faults};
pub use self::html::html;
pub use self::machine::Machine;
pub use self::summary::{Summary, Times, milliseconds, note, times};

use crate::check::history::Injection;
use crate::check::verdict::Verdict;

/// A run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Run {
    /// What was played, in a few words.
    pub title: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// What was asked for, by name.
    pub parameters: Vec<(String, String)>,
    /// On what.
    pub machine: Machine,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// How long answers took, from the time when the message should have been sent.
    pub acks: Summary,
    /// How long messages took to reach a member, from that time too.
    pub deliveries: Summary,
    /// Faults that were made.
    pub injections: Vec<Injection>,
    /// For each fault the time within which all should work again, in microseconds.
    pub aims: BTreeMap<String, u64>,
    /// What the checker says; none if nothing was written down.
    pub verdict: Option<Verdict>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// One second of a run.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Second {
    /// Its end, in seconds since the run began.
    pub at: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages answered.
    pub acked: u64,
    /// Messages refused for the time being.
    pub refused: u64,
    /// Events given to clients.
    pub delivered: u64,
    /// Connections at its end.
    pub connections: u64,
    /// By how much, in microseconds, messages were sent later than they should have been.
    pub behind: u64,
    /// Time to the answer, in microseconds: half of them, and 99 of 100.
    pub ack: [u64; 2],
    /// Time to a member, in microseconds: half of them, and 99 of 100.
    pub delivery: [u64; 2],
}

impl Run {
    /// All messages sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.seconds.iter().map(|second| second.sent).sum()
    }

    /// All messages answered.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.seconds.iter().map(|second| second.acked).sum()
    }

    /// All events given to clients.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.seconds.iter().map(|second| second.delivered).sum()
    }
}

#[cfg(test)]
mod tests;

//! What a check of a history found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::history::Record;

/// A promise that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Check {
    /// What was acknowledged is there at the end, where it was said to be.
    C1,
    /// A message is in its room once, and a sequence is one event.
    C2,
    /// Sequences are 1, 2, 3 ... without a hole.
    C3,
    /// Only what was sent, and not refused for good, is ever seen.
    C4,
    /// What each client is given is the room's history without holes, once, in order.
    C5,
    /// What was acknowledged before another was sent comes before it; a sender's order is kept.
    C6,
    /// Sent again, a message gets the answer that it got.
    C7,
    /// All gateways give the same history.
    C8,
    /// Who is shown online is, and who is online is shown so, within the time promised.
    C9,
    /// Nobody is given anything of a room in which they are not.
    C10,
    /// Nothing is taken back, unless Redis was made to lose something.
    C11,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::C1,
        Self::C2,
        Self::C3,
        Self::C4,
        Self::C5,
        Self::C6,
        Self::C7,
        Self::C8,
        Self::C9,
        Self::C10,
        Self::C11,
    ];

    /// The promise in a few words.
    #[must_use]
    pub fn promise(self) -> &'static str {
        match self {
            Self::C1 => "acknowledged messages are kept",
            Self::C2 => "each message once",
            Self::C3 => "sequences without holes",
            Self::C4 => "nothing that was not sent",
            Self::C5 => "each client is given the whole history, in order",
            Self::C6 => "order of acknowledgement and of senders",
            Self::C7 => "the same answer when sent again",
            Self::C8 => "the same history through all gateways",
            Self::C9 => "presence is true",
            Self::C10 => "nothing to outsiders",
            Self::C11 => "rewinds only after a loss",
        }
    }
}

/// What is wrong, in the words in which people ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It should be there and is not.
    Lost,
    /// It is there twice.
    Duplicated,
    /// It is in the wrong order.
    Reordered,
    /// Two who should agree do not.
    Divergent,
    /// It is there and should not be.
    Ghost,
    /// A client was told to go back without a reason.
    Rewound,
    /// Somebody was shown as what they were not.
    Presence,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Lost,
        Self::Duplicated,
        Self::Reordered,
        Self::Divergent,
        Self::Ghost,
        Self::Rewound,
        Self::Presence,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Divergent => "divergent",
            Self::Ghost => "ghosts",
            Self::Rewound => "unexplained rewinds",
            Self::Presence => "wrong presence",
        }
    }
}

/// One violation, or several of one kind in one place.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Which promise.
    pub check: Check,
    /// What is wrong.
    pub kind: Kind,
    /// How many times.
    pub count: u64,
    /// When, in microseconds since the run began, as far as that can be said.
    pub at: Option<u64>,
    /// In words.
    pub problem: String,
    /// What was written down of it.
    pub records: Vec<Record>,
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Extent {
    /// Records.
    pub records: u64,
    /// Clients.
    pub clients: u64,
    /// Rooms.
    pub rooms: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Messages that were sent more than once.
    pub sent_again: u64,
    /// Messages that were answered as taken.
    pub accepted: u64,
    /// Messages that were said to be in the archive.
    pub durable: u64,
    /// Messages whose sender never learned what became of them.
    pub unknown: u64,
    /// Events in the rooms' final histories.
    pub events: u64,
    /// Events given to clients.
    pub deliveries: u64,
    /// Faults made.
    pub injections: u64,
    /// How often clients were told that something was taken back.
    pub rewinds: u64,
    /// Events that were given to clients and then taken back.
    pub taken_back: u64,
    /// How often clients were told that not all they missed follows.
    pub gaps: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// How much was checked.
    pub extent: Extent,
    /// How many violations of each promise.
    pub violations: BTreeMap<Check, u64>,
    /// How many violations of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// How many violations follow each fault and no later one, in the order of the history.
    pub after_injection: Vec<u64>,
    /// The first violations of each promise.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether all promises were kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.total() == 0
    }

    /// All violations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.violations.values().sum()
    }

    /// Violations of one promise.
    #[must_use]
    pub fn of(&self, check: Check) -> u64 {
        self.violations.get(&check).copied().unwrap_or(0)
    }

    /// Violations of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.extent;
        writeln!(
            to,
            "checked {} messages of {} clients in {} rooms: {} accepted, {} archived, {} unknown, \
             {} sent again; {} deliveries, {} faults, {} rewinds, {} gaps told",
            e.messages,
            e.clients,
            e.rooms,
            e.accepted,
            e.durable,
            e.unknown,
            e.sent_again,
            e.deliveries,
            e.injections,
            e.rewinds,
            e.gaps
        )?;
        let kinds = Kind::ALL.map(|kind| format!("{} {}", kind.name(), self.of_kind(kind)));
        write!(to, "{}", kinds.join("   "))?;
        for finding in &self.findings {
            write!(to, "\n{:?} {}", finding.check, finding.problem)?;
            for record in &finding.records {
                let line = serde_json::to_string(record).unwrap_or_default();
                write!(to, "\n     {line}")?;
            }
        }
        Ok(())
    }
}

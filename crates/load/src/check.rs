//! Whether a run kept the promises: pure, from what was written down of it.
//!
//! Sequences give each room its one order, so no search for a possible order is needed, and all of
//! it takes the time of a sort. Nothing is assumed of what is not known: a message whose answer
//! never came may be there or not, but not twice.

pub mod history;
pub mod verdict;

mod answers;
mod facts;
mod finals;
mod findings;
mod losses;
mod order;
mod presence;
mod stream;
mod streams;

#[cfg(test)]
mod tests;

pub(crate) use self::losses::over;

use self::facts::Facts;
use self::findings::Findings;
use self::history::History;
use self::verdict::Verdict;

/// What may be taken for granted of a run.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long, in microseconds, somebody may be shown online after their last connection ended:
    /// a gateway's lease, and the sweep after it.
    pub offline_grace: u64,
    /// How long, in microseconds, somebody who has a connection may be shown offline.
    pub online_grace: u64,
    /// Whether clients keep what was accepted until it is durable and send it again. If not, a
    /// fault that takes back may lose it.
    pub clients_resend: bool,
    /// Whether old events are removed, so that whoever comes back late may be told of a gap.
    pub gaps_allowed: bool,
    /// Whether clients that are connected at the end were given the time to hear everything.
    pub whole_tail: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            offline_grace: 17_000_000,
            online_grace: 5_000_000,
            clients_resend: true,
            gaps_allowed: false,
            whole_tail: true,
        }
    }
}

/// Checks a history against all promises.
#[must_use]
pub fn check(history: &History, rules: &Rules) -> Verdict {
    let facts = Facts::of(history);
    let mut findings = Findings::new(history, &facts);
    finals::check(history, &facts, &mut findings);
    answers::check(&facts, rules, &mut findings);
    order::check(&facts, &mut findings);
    streams::check(&facts, rules, &mut findings);
    presence::check(&facts, history, rules, &mut findings);
    findings.verdict()
}

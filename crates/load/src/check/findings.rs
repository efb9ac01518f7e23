//! Gathers violations: counts all, keeps the first few of each kind with what was written down.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::history::{History, Injection};
use super::verdict::{Check, Extent, Finding, Kind, Verdict};

/// Violations of one promise that are told in full.
const TOLD: u64 = 20;
/// Records that stand beside each.
const QUOTED: usize = 6;

/// A violation, as it is reported.
pub(super) struct Violation<'r> {
    pub check: Check,
    pub kind: Kind,
    pub count: u64,
    pub at: Option<u64>,
    /// Numbers of records.
    pub records: &'r [u32],
}

pub(super) struct Findings<'a> {
    facts: &'a Facts<'a>,
    /// When each fault began, ascending, with its place in the history.
    begun: Vec<(u64, usize)>,
    verdict: Verdict,
}

impl<'a> Findings<'a> {
    pub(super) fn new(history: &'a History, facts: &'a Facts<'a>) -> Self {
        let begins = |(place, injection): (usize, &Injection)| (injection.at, place);
        let mut begun: Vec<_> = history.injections.iter().enumerate().map(begins).collect();
        begun.sort_unstable();
        let verdict = Verdict {
            after_injection: vec![0; history.injections.len()],
            extent: extent(history, facts),
            ..Verdict::default()
        };
        Self {
            facts,
            begun,
            verdict,
        }
    }

    pub(super) fn extent(&mut self) -> &mut Extent {
        &mut self.verdict.extent
    }

    /// Counts a violation; the words are only made for the first ones.
    pub(super) fn add(&mut self, violation: &Violation<'_>, problem: impl FnOnce() -> String) {
        let Violation {
            check,
            kind,
            count,
            at,
            records,
        } = *violation;
        let told = self.verdict.violations.entry(check).or_default();
        let tell = *told < TOLD;
        *told += count;
        *self.verdict.kinds.entry(kind).or_default() += count;
        let begun = at.map_or(0, |at| {
            self.begun.partition_point(|(begun, _)| *begun <= at)
        });
        if let Some((_, place)) = begun.checked_sub(1).and_then(|last| self.begun.get(last))
            && let Some(after) = self.verdict.after_injection.get_mut(*place)
        {
            *after += count;
        }
        if tell {
            let records = records.iter().take(QUOTED);
            self.verdict.findings.push(Finding {
                check,
                kind,
                count,
                at,
                problem: problem(),
                records: records
                    .filter_map(|record| self.facts.record(*record).cloned())
                    .collect(),
            });
        }
    }

    pub(super) fn verdict(mut self) -> Verdict {
        self.verdict.findings.sort_by_key(|finding| finding.check);
        self.verdict
    }
}

fn extent(history: &History, facts: &Facts<'_>) -> Extent {
    let clients: BTreeSet<u32> = history.records.iter().map(|record| record.client).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut extent = Extent {
        records: count(history.records.len()),
        clients: count(clients.len()),
        rooms: count(facts.rooms.len()),
        injections: count(history.injections.len()),
        events: count(facts.rooms.values().map(|room| room.events.len()).sum()),
        ..Extent::default()
    };
    for message in &facts.messages {
        let answers = facts.answers(message);
        extent.messages += u64::from(message.sends > 0);
        extent.sent_again += u64::from(message.sends > 1);
        extent.accepted += u64::from(!answers.is_empty());
        extent.durable += u64::from(message.durable.is_some());
        let known = !answers.is_empty() || message.is_denied();
        extent.unknown += u64::from(!known);
    }
    extent
}

//! Faults by their kind: how often, what was wrong after them, how long it took.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;

/// All faults of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The kind.
    pub fault: String,
    /// How many were made.
    pub injections: u64,
    /// How many after which not everything worked again.
    pub unrecovered: u64,
    /// Violations that followed one of these and no later fault.
    pub violations: u64,
    /// Microseconds from the end of the fault until everything worked again: half of them.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// All.
    pub max: u64,
    /// Within how much it should.
    pub aim: Option<u64>,
}

/// The faults of a run by their kind, in the order of their names.
#[must_use]
pub fn faults(run: &Run) -> Vec<Fault> {
    let mut kinds: BTreeMap<&str, (Fault, Vec<u64>)> = BTreeMap::new();
    for (place, injection) in run.injections.iter().enumerate() {
        let (fault, recoveries) = kinds.entry(&injection.fault).or_default();
        fault.injections += 1;
        match injection.recovered {
            // What counts is the time after the fault was over.
            Some(recovered) => {
                let lasted = injection.until.saturating_sub(injection.at);
                recoveries.push(recovered.saturating_sub(lasted));
            }
            None => fault.unrecovered += 1,
        }
        let verdict = run.verdict.as_ref();
        let violations = verdict.and_then(|verdict| verdict.after_injection.get(place));
        fault.violations += violations.copied().unwrap_or(0);
    }
    let with_times = |(name, (fault, mut recoveries)): (&str, (Fault, Vec<u64>))| {
        recoveries.sort_unstable();
        Fault {
            fault: name.to_owned(),
            p50: quantile(&recoveries, 50),
            p99: quantile(&recoveries, 99),
            max: quantile(&recoveries, 100),
            aim: run.aims.get(name).copied(),
            ..fault
        }
    };
    kinds.into_iter().map(with_times).collect()
}

/// The smallest that `percent` of them do not exceed.
fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(0)
}

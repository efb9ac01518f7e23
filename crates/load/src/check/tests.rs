//! Good histories pass, and each way of spoiling one is caught by the check that it breaks.

use proptest::prelude::*;

use super::history::History;
use super::verdict::{Check, Verdict};
use super::{Rules, check};

mod left;
mod presence;
mod scale;
mod spoil;
mod world;

use world::{Step, World};

fn verdict(history: &History) -> Verdict {
    check(history, &Rules::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens in a world that keeps its promises, the checker finds nothing.
    #[test]
    fn good_histories_pass(steps in proptest::collection::vec(any::<Step>(), 0..200)) {
        let history = World::play(&steps, true);
        let verdict = verdict(&history);
        prop_assert!(verdict.is_clean(), "{verdict}");
    }

    /// And it says how much it looked at.
    #[test]
    fn what_was_checked_is_counted(steps in proptest::collection::vec(any::<Step>(), 50..200)) {
        let history = World::play(&steps, false);
        let extent = verdict(&history).extent;
        let events: usize = history.finals.iter().filter(|last| last.gateway == 0)
            .map(|last| last.events.len()).sum();
        prop_assert_eq!(extent.events, events as u64);
        prop_assert_eq!(extent.records, history.records.len() as u64);
        prop_assert!(extent.accepted <= extent.messages);
    }
}

/// Spoils many good histories; all that could be spoiled must be caught, and enough of them could.
fn caught(checks: &[Check], spoil: impl Fn(&mut History, usize) -> bool) {
    let mut spoiled = 0;
    for seed in 0..150 {
        let mut history = World::play(&Step::random(seed, 150), false);
        assert!(verdict(&history).is_clean(), "{}", verdict(&history));
        let at = usize::try_from(seed).unwrap() * 7919;
        if !spoil(&mut history, at) {
            continue;
        }
        spoiled += 1;
        let verdict = verdict(&history);
        let found = checks.iter().any(|check| verdict.of(*check) > 0);
        assert!(found, "seed {seed}: {checks:?} expected\n{verdict}");
    }
    assert!(spoiled > 15, "only {spoiled} could be spoiled");
}

//! Who should own a partition: pure, and the same wherever it is computed.
//!
//! Rendezvous hashing: each live worker has a score for each partition, and the highest wins. So a
//! worker that comes takes only what becomes its own, and one that goes leaves only what it had.
//! The scores must never change: in a rolling upgrade two versions that disagree would leave
//! partitions to each other that nobody takes.

use std::collections::BTreeSet;

use chinwag_protocol::id::Incarnation;
use chinwag_store::Partition;

/// Which of the `live` workers should own a partition; `None` if there is none.
#[must_use]
pub fn owner(live: &BTreeSet<Incarnation>, partition: Partition) -> Option<&Incarnation> {
    live.iter()
        .max_by_key(|worker| (score(worker, partition), *worker))
}

/// Which of `count` partitions `me` should own among the `live`.
#[must_use]
pub fn share(live: &BTreeSet<Incarnation>, me: &Incarnation, count: u16) -> BTreeSet<Partition> {
    (0..count)
        .map(Partition)
        .filter(|partition| owner(live, *partition) == Some(me))
        .collect()
}

/// FNV-1a over name and partition, then the finalizer of MurmurHash3, because names of processes
/// that start together differ in few bits.
fn score(worker: &Incarnation, partition: Partition) -> u64 {
    let name = worker.as_str().bytes();
    let number = partition.0.to_be_bytes();
    let mut hash = name
        .chain(number)
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    for multiplier in [0xff51_afd7_ed55_8ccdu64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn worker(number: u64) -> Incarnation {
        Incarnation::new(uuid::Uuid::from_u64_pair(0x0193_0000_0000_7000, number).to_string())
            .unwrap()
    }

    fn workers(most: usize) -> impl Strategy<Value = BTreeSet<Incarnation>> {
        proptest::collection::btree_set((0..1_000_000u64).prop_map(worker), 1..=most)
    }

    proptest! {
        #[test]
        fn every_partition_has_exactly_one_owner_among_the_live(
            live in workers(8), count in 1..200u16
        ) {
            let mut owned = BTreeSet::new();
            for me in &live {
                for partition in share(&live, me, count) {
                    prop_assert!(owned.insert(partition), "{partition:?} has two owners");
                }
            }
            prop_assert_eq!(owned.len(), usize::from(count));
        }

        #[test]
        fn one_that_comes_takes_only_what_becomes_its_own(
            live in workers(8), new in 1_000_000..2_000_000u64, count in 1..200u16
        ) {
            let new = worker(new);
            let mut more = live.clone();
            more.insert(new.clone());
            for partition in (0..count).map(Partition) {
                let (before, after) = (owner(&live, partition), owner(&more, partition));
                prop_assert!(after == before || after == Some(&new));
            }
        }

        #[test]
        fn one_that_goes_leaves_only_what_it_had(live in workers(8), count in 1..200u16) {
            let gone = live.first().unwrap().clone();
            let mut fewer = live.clone();
            fewer.remove(&gone);
            for partition in (0..count).map(Partition) {
                let before = owner(&live, partition);
                prop_assert!(before == Some(&gone) || owner(&fewer, partition) == before);
            }
        }
    }

    #[test]
    fn shares_are_about_equal() {
        let live: BTreeSet<Incarnation> = (0..4).map(worker).collect();
        for me in &live {
            let share = share(&live, me, 1024).len();
            assert!((180..=330).contains(&share), "{share} of 1024 for one of 4");
        }
    }

    #[test]
    fn scores_never_change() {
        let live: BTreeSet<Incarnation> = (0..3).map(worker).collect();
        let owners: Vec<usize> = (0..12)
            .map(|number| {
                let owner = owner(&live, Partition(number)).unwrap();
                live.iter().position(|worker| worker == owner).unwrap()
            })
            .collect();
        assert_eq!(owners, [1, 2, 1, 0, 1, 2, 1, 2, 2, 1, 2, 0]);
    }

    #[test]
    fn nobody_owns_anything_where_nobody_lives() {
        assert_eq!(owner(&BTreeSet::new(), Partition(0)), None);
    }
}

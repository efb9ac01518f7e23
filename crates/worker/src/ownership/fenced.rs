//! Partitions that came back because somebody remembers a later holder than this worker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chinwag_runtime::{Backoff, Delays};
use chinwag_store::Partition;
use tokio::time::Instant;

/// How long a partition must not come back to count as well.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What a next lease must be above, and when to try for it.
#[derive(Debug, Default)]
pub(super) struct Fenced {
    known: BTreeMap<Partition, Known>,
}

#[derive(Debug)]
struct Known {
    above: u64,
    not_before: Instant,
    delays: Delays,
}

impl Fenced {
    /// A partition came back: the token of its next lease must be above this one.
    pub fn note(&mut self, partition: Partition, above: u64) {
        let now = Instant::now();
        let Some(known) = self.known.get_mut(&partition) else {
            // The first time there is nothing to wait for: a higher token is all it takes.
            let (not_before, delays) = (now, Backoff::DEFAULT.delays());
            let known = Known {
                above,
                not_before,
                delays,
            };
            self.known.insert(partition, known);
            return;
        };
        known.above = known.above.max(above);
        known.not_before = now + known.delays.draw();
    }

    /// What the token of a partition's next lease must be above.
    pub fn above(&self, partition: Partition) -> u64 {
        self.known.get(&partition).map_or(0, |known| known.above)
    }

    /// Whether it is too early to try for a partition again.
    pub fn rests(&self, partition: Partition) -> bool {
        let known = self.known.get(&partition);
        known.is_some_and(|known| known.not_before > Instant::now())
    }

    /// Forgets what is another worker's now, and what went well for a while.
    pub fn keep(&mut self, mine: &BTreeSet<Partition>) {
        self.known.retain(|partition, known| {
            mine.contains(partition) && known.not_before.elapsed() < FORGOTTEN_AFTER
        });
    }
}

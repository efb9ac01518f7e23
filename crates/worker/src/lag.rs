//! How far behind a worker is, looked at from outside its loop: it must show above all while the
//! loop is stuck.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chinwag_store::log::LogId;
use chinwag_store::mark::Backlog;
use chinwag_store::{Partition, Store};
use metrics::gauge;

use crate::consumer::Consumer;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(2);

/// Where the partitions of a worker are marked, for whoever wants to compare.
#[derive(Debug)]
pub(crate) struct Places {
    role: &'static str,
    marked: Mutex<BTreeMap<Partition, Marked>>,
}

#[derive(Debug, Default)]
struct Marked {
    at: LogId,
    /// Whether the log has entries that are done.
    has_done: bool,
}

impl Places {
    pub fn new(role: &'static str) -> Self {
        Self {
            role,
            marked: Mutex::default(),
        }
    }

    /// The map is whole after every statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Marked>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mark of a partition of ours.
    pub fn set(&self, partition: Partition, at: LogId) {
        self.lock().entry(partition).or_default().at = at;
    }

    /// The partition is another's now, which reports it from here on.
    pub fn remove(&self, partition: Partition) {
        let mut marked = self.lock();
        if marked.remove(&partition).is_some() {
            self.report(partition, 0, Duration::ZERO);
        }
    }

    /// Whether the log has entries that are done and were not trimmed when it was looked last.
    pub fn take_trimmable(&self, partition: Partition) -> bool {
        let mut marked = self.lock();
        let marked = marked.get_mut(&partition);
        marked.is_some_and(|marked| std::mem::take(&mut marked.has_done))
    }

    fn all(&self) -> Vec<(Partition, LogId)> {
        let marked = self.lock();
        marked
            .iter()
            .map(|(one, marked)| (*one, marked.at))
            .collect()
    }

    fn report(&self, partition: Partition, entries: u64, age: Duration) {
        let (role, partition) = (self.role, partition.0.to_string());
        gauge!("chinwag_worker_lag_entries", "role" => role, "partition" => partition.clone())
            .set(entries as f64);
        gauge!("chinwag_worker_lag_seconds", "role" => role, "partition" => partition)
            .set(age.as_secs_f64());
    }

    /// Takes in what was found, and returns the age of the oldest entry that is not done.
    fn found(&self, now: u64, found: Vec<(Partition, Backlog)>) -> Duration {
        let mut marked = self.lock();
        let mut oldest = Duration::ZERO;
        for (partition, backlog) in found {
            let Some(marked) = marked.get_mut(&partition) else {
                continue;
            };
            marked.has_done = backlog.length > backlog.behind;
            let age = backlog
                .oldest_time
                .map_or(0, |time| now.saturating_sub(time));
            let age = Duration::from_millis(age);
            oldest = oldest.max(age);
            self.report(partition, backlog.behind, age);
        }
        oldest
    }
}

/// Looks again and again, for as long as it is polled.
pub(crate) async fn watch<C: Consumer>(store: &Store, places: &Places, consumer: &C) -> Infallible {
    loop {
        tokio::time::sleep(EVERY).await;
        let all = places.all();
        match store.backlog(C::ROLE, &all).await {
            Ok(found) => {
                let partitions = all.into_iter().map(|(partition, _)| partition);
                let oldest = places.found(store.now(), partitions.zip(found).collect());
                consumer.behind(oldest);
            }
            // The loop sees the same, and says so.
            Err(error) => tracing::debug!(role = C::ROLE, %error, "cannot look at the backlog"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_counts() {
        let places = Places::new("test");
        let (held, other) = (Partition(1), Partition(2));
        places.set(held, LogId::default());
        let backlog = Backlog {
            length: 5,
            behind: 2,
            oldest_time: Some(1_000),
        };
        let oldest = places.found(4_000, vec![(held, backlog), (other, backlog)]);
        assert_eq!(oldest, Duration::from_secs(3));
        assert!(places.take_trimmable(held), "three are done");
        assert!(!places.take_trimmable(held), "asked for already");
        assert!(!places.take_trimmable(other));
        assert_eq!(places.all(), [(held, LogId::default())]);
        places.remove(held);
        assert_eq!(places.all(), []);
    }
}

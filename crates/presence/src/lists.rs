//! The lists of users to be looked at: taken off by whoever has the lease on their partition.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chinwag_runtime::{Backoff, Delays, Part, Pulse};
use chinwag_store::{Error, Partition, Result};
use chinwag_worker::{Hold, Shares};
use futures_util::future::join_all;
use metrics::{counter, histogram};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::ROLE;
use crate::settle::{AT_ONCE, Settler};

/// Rounds of one list before others have their turn.
const ROUNDS: usize = 8;

/// The work on all lists of one worker.
pub(crate) struct Lists {
    settler: Settler,
    shares: Shares,
    hints: mpsc::Receiver<Partition>,
    tick: Interval,
    held: BTreeMap<Partition, Hold>,
    given_back: BTreeSet<(Partition, u64)>,
    /// Lists that may have work.
    dirty: BTreeSet<Partition>,
    delays: Delays,
    part: Part,
    pulse: Pulse,
}

enum Event {
    Shares,
    Ended,
    Hint(Partition),
    Tick,
    Dirty,
}

/// How work on one list ended.
enum Outcome {
    Empty,
    HasMore,
    Failed(Error),
    Lost,
}

impl Lists {
    pub fn new(
        settler: Settler,
        shares: Shares,
        hints: mpsc::Receiver<Partition>,
        every: Duration,
        context: &chinwag_runtime::Context,
    ) -> Self {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            settler,
            shares,
            hints,
            tick,
            held: BTreeMap::new(),
            given_back: BTreeSet::new(),
            dirty: BTreeSet::new(),
            delays: Backoff::DEFAULT.delays(),
            part: context.part("lists"),
            pulse: context.pulse("lists"),
        }
    }

    /// Works until nothing is held any more.
    pub async fn run(mut self) {
        loop {
            self.pulse.beat();
            self.follow().await;
            let event = tokio::select! {
                biased;
                changed = self.shares.changed() => if changed { Event::Shares } else { Event::Ended },
                _ = self.tick.tick() => Event::Tick,
                Some(partition) = self.hints.recv() => Event::Hint(partition),
                () = std::future::ready(()), if !self.dirty.is_empty() => Event::Dirty,
            };
            match event {
                Event::Ended => return,
                Event::Shares => continue,
                Event::Dirty => {}
                Event::Hint(partition) => self.hint(partition),
                Event::Tick => self.dirty.extend(self.held.keys()),
            }
            self.work().await;
        }
    }

    /// Takes all hints that wait.
    fn hint(&mut self, first: Partition) {
        let mut next = Some(first);
        while let Some(partition) = next {
            if self.held.contains_key(&partition) {
                self.dirty.insert(partition);
            }
            next = self.hints.try_recv().ok();
        }
    }

    /// Follows the share: looks at what is new, gives back what is not wanted.
    async fn follow(&mut self) {
        let holds = self.shares.now();
        let is_held = |partition: Partition, token: u64| {
            holds
                .get(&partition)
                .is_some_and(|hold| hold.lease.token == token)
        };
        self.given_back
            .retain(|(partition, token)| is_held(*partition, *token));
        let before = std::mem::take(&mut self.held);
        for (partition, hold) in holds {
            if hold.wanted {
                if !before.contains_key(&partition) {
                    self.dirty.insert(partition);
                }
                self.held.insert(partition, hold);
            } else if self.given_back.insert((partition, hold.lease.token)) {
                self.shares.give_back(hold.lease).await;
            }
        }
        let held = &self.held;
        self.dirty.retain(|partition| held.contains_key(partition));
    }

    /// Works on all lists that may have work, side by side.
    async fn work(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        let settler = &self.settler;
        let work = dirty.iter().filter_map(|partition| {
            let hold = self.held.get(partition)?;
            Some(async move {
                let outcome = tokio::select! {
                    biased;
                    () = hold.lost() => Outcome::Lost,
                    done = take_off(settler, hold) => match done {
                        Ok(true) => Outcome::HasMore,
                        Ok(false) => Outcome::Empty,
                        Err(Error::Fenced(_)) => Outcome::Lost,
                        Err(error) => Outcome::Failed(error),
                    },
                };
                (*partition, outcome)
            })
        });
        let mut failure = None;
        for (partition, outcome) in join_all(work).await {
            match outcome {
                Outcome::HasMore => {
                    self.dirty.insert(partition);
                }
                // Of what was lost the share tells too, in a moment.
                Outcome::Empty | Outcome::Lost => {}
                Outcome::Failed(error) => {
                    counter!("chinwag_worker_errors_total", "role" => ROLE).increment(1);
                    failure = Some(error);
                }
            }
        }
        // What failed is looked at again with the next tick.
        match failure {
            None => {
                self.delays.reset();
                self.part.ready();
            }
            Some(error) => {
                self.part.not_ready(error.to_string());
                let rest = sleep(self.delays.draw());
                tokio::select! {
                    // The loop follows the share before anything else.
                    _ = self.shares.changed() => {}
                    () = rest => {}
                }
            }
        }
    }
}

/// Settles users of one list and takes them off it. Says whether there are more.
async fn take_off(settler: &Settler, hold: &Hold) -> Result<bool> {
    let (store, partition) = (&settler.store, hold.lease.partition);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let users = store.presence_work(partition, AT_ONCE).await?;
        if users.is_empty() {
            return Ok(false);
        }
        settler.settle(&users).await?;
        let left = store.finish_presence(&hold.lease, users.len()).await?;
        let done = users.len();
        counter!("chinwag_worker_entries_total", "role" => ROLE).increment(done as u64);
        histogram!("chinwag_worker_batch_size", "role" => ROLE).record(done as f64);
        histogram!("chinwag_worker_batch_seconds", "role" => ROLE).record(begun.elapsed());
        if left == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

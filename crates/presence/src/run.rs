//! A presence worker from start to drain.

use std::collections::BTreeMap;

use chinwag_runtime::{Context, Part};
use chinwag_store::channel::{Heard, Listener};
use chinwag_store::{Error as StoreError, Partition, Result as StoreResult, Store};
use chinwag_worker::{Hold, Living, Ownership, Shares};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::ROLE;
use crate::config::{Config, Error};
use crate::digest::Digest;
use crate::settle::Settler;
use crate::sweep::Swept;

/// Hints that wait. When there are more, the next turn finds what they were about.
const HINTS: usize = 4_096;
/// How many turns pass between two counts of who is online.
const TURNS_PER_COUNT: u32 = 5;

/// Settles presence until the context stops, then gives its share back.
///
/// # Errors
/// Only if it cannot begin; what fails later is weather.
pub async fn run(config: Config, store: Store, context: Context) -> Result<(), Error> {
    let worker = chinwag_worker::Config::from(config).checked()?;
    let (ownership, shares) = Ownership::begin(worker, ROLE, store.clone(), &context);
    let settler = Settler {
        store,
        living: Living::default(),
        digest: Digest::default(),
    };
    let mut turns = interval(config.interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let worker = Worker {
        settler,
        shares,
        holds: BTreeMap::new(),
        swept: Swept::default(),
        ear: None,
        ready: context.part("redis"),
        turn: 0,
    };
    worker.work(turns).await;
    ownership.ended().await;
    Ok(())
}

struct Worker {
    settler: Settler,
    shares: Shares,
    holds: BTreeMap<Partition, Hold>,
    swept: Swept,
    /// Where hints are heard; `None` until it can be had again.
    ear: Option<Listener>,
    ready: Part,
    turn: u32,
}

enum Event {
    /// The share is another one; `false` at the end.
    Shares(bool),
    Hint(Option<Partition>),
    Turn,
}

impl Worker {
    async fn work(mut self, mut turns: Interval) {
        loop {
            let event = tokio::select! {
                biased;
                more = self.shares.changed() => Event::Shares(more),
                hint = hint(&mut self.ear) => Event::Hint(hint),
                _ = turns.tick() => Event::Turn,
            };
            match event {
                Event::Shares(true) => self.take_shares().await,
                Event::Shares(false) => return,
                Event::Hint(Some(partition)) => self.look(partition).await,
                // The connection is gone; the next turn makes another.
                Event::Hint(None) => self.ear = None,
                Event::Turn => self.take_turn().await,
            }
        }
    }

    /// Gives back what is no longer wanted, and begins with what is new.
    async fn take_shares(&mut self) {
        let now = self.shares.now();
        let mut begun = Vec::new();
        for (partition, hold) in &now {
            if !hold.wanted {
                self.swept.forget(*partition);
                self.shares.give_back(hold.lease.clone()).await;
            } else if !self.holds.contains_key(partition) {
                begun.push(*partition);
            }
        }
        self.holds = now.into_iter().filter(|(_, hold)| hold.wanted).collect();
        // What was put there while nobody owned it.
        for partition in begun {
            self.look(partition).await;
        }
    }

    /// Looks at one partition's list.
    async fn look(&mut self, partition: Partition) {
        let Some(hold) = self.holds.get(&partition).filter(|hold| !hold.is_lost()) else {
            return;
        };
        let lease = hold.lease.clone();
        let began = Instant::now();
        match self.settler.work(&lease).await {
            Ok(_) => {
                metrics::histogram!("chinwag_worker_batch_seconds", "role" => ROLE)
                    .record(began.elapsed());
            }
            Err(StoreError::Fenced(_)) => {
                self.holds.remove(&partition);
                self.shares.give_back(lease).await;
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Looks at everything, whatever was heard.
    async fn take_turn(&mut self) {
        let partitions: Vec<Partition> = self.holds.keys().copied().collect();
        for partition in &partitions {
            self.look(*partition).await;
        }
        match self.everything_else(&partitions).await {
            Ok(()) => self.ready.ready(),
            Err(error) => self.failed(&error),
        }
    }

    async fn everything_else(&mut self, partitions: &[Partition]) -> StoreResult<()> {
        if self.ear.is_none() {
            let listener = self.settler.store.listen(HINTS).await?;
            listener.ear().join_as_presence_worker().await?;
            self.ear = Some(listener);
        }
        self.swept.sweep(&mut self.settler, partitions).await?;
        let store = self.settler.store.clone();
        self.settler.digest.tell(&store).await?;
        self.turn = self.turn.wrapping_add(1);
        if self.turn % TURNS_PER_COUNT == 1 {
            self.count(partitions).await?;
        }
        Ok(())
    }

    /// Shows who is online, and how much waits, in this worker's share.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    async fn count(&self, partitions: &[Partition]) -> StoreResult<()> {
        let (mut online, mut waiting) = (0, 0);
        for partition in partitions {
            online += self.settler.store.online_count(*partition).await?;
            waiting += self.settler.store.presence_waiting(*partition).await?;
        }
        metrics::gauge!("chinwag_presence_online_users").set(online as f64);
        metrics::gauge!("chinwag_presence_queue_depth").set(waiting as f64);
        Ok(())
    }

    fn failed(&self, error: &StoreError) {
        metrics::counter!("chinwag_worker_errors_total", "role" => ROLE).increment(1);
        tracing::warn!(%error, "presence waits");
        self.ready.not_ready(error.to_string());
    }
}

/// The next hint; `None` when the connection has ended. Never, without one.
async fn hint(ear: &mut Option<Listener>) -> Option<Partition> {
    let Some(listener) = ear else {
        return std::future::pending().await;
    };
    loop {
        match listener.heard.recv().await {
            Some(Heard::Wake(partition)) => return Some(partition),
            Some(_) => {}
            None => return None,
        }
    }
}

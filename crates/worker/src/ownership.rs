//! Which partitions are this worker's: computed by rendezvous, decided by lease, kept up by a task.
//!
//! The task renews the lease on the worker's name and those on its partitions, looks who else
//! lives, takes what has become its own and lets go of what has become another's. It only keeps
//! [`Shares`] true; whoever works on a partition gives it back there when asked to.
//!
//! A lease that could not be renewed in time counts as lost here before it runs out in Redis. That
//! only saves work: what makes a late worker harmless is that its effects carry the lease.

use std::sync::Arc;
use std::time::Duration;

use chinwag_runtime::{Context, Delays, Part, Pulse};
use chinwag_store::Store;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::config::Config;
use crate::shares::{Returned, Shares};

mod fenced;
mod holder;
mod signal;

use holder::Holder;

/// How often a partition is tried that is about to be given up by another.
const EAGER: Duration = Duration::from_millis(50);
/// How often, when that other one has just said so. This, and what it takes to finish a batch, is
/// the pause of a planned handover.
const KEEN: Duration = Duration::from_millis(10);

/// The task that keeps a worker's share.
#[derive(Debug)]
pub struct Ownership {
    task: JoinHandle<()>,
}

impl Ownership {
    /// Begins to take a share of the partitions in a role, until the context stops.
    #[must_use]
    pub fn begin(
        config: Config,
        role: &'static str,
        store: Store,
        context: &Context,
    ) -> (Self, Shares) {
        let (holds, back, shares) = Shares::channel(store.keys().partitions());
        let word = Arc::new(Notify::new());
        let listening = signal::listen(store.clone(), role, Arc::clone(&word));
        let keeper = Keeper {
            holder: Holder::new(config, role, store, holds),
            config,
            back,
            word,
            looks: false,
            renewal: Instant::now(),
            delays: chinwag_runtime::Backoff::DEFAULT.delays(),
            part: context.part("ownership"),
            pulse: context.pulse("ownership"),
        };
        let stopping = context.stopping();
        let task = context.spawn("ownership", async move {
            tokio::select! {
                () = keeper.run(stopping) => {}
                never = listening => match never {},
            }
        });
        (Self { task }, shares)
    }

    /// Waits until everything is given back. A panic in the task is reported by the context.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task of ownership failed");
        }
    }
}

struct Keeper {
    holder: Holder,
    config: Config,
    back: tokio::sync::mpsc::Receiver<Returned>,
    /// Told when partitions become free.
    word: Arc<Notify>,
    /// Whether it is to be looked who lives, before the next renewal.
    looks: bool,
    /// When all leases are to be renewed next.
    renewal: Instant,
    delays: Delays,
    part: Part,
    pulse: Pulse,
}

enum Event {
    Stop,
    Returned(Returned),
    Word,
    Due,
}

impl Keeper {
    async fn run(mut self, stopping: impl Future<Output = ()>) {
        tokio::pin!(stopping);
        let mut next = Instant::now();
        loop {
            let event = tokio::select! {
                biased;
                () = &mut stopping => Event::Stop,
                Some(returned) = self.back.recv() => Event::Returned(returned),
                () = self.word.notified() => Event::Word,
                () = sleep_until(next) => Event::Due,
            };
            match event {
                Event::Stop => break,
                Event::Returned(returned) => {
                    self.take_back(returned).await;
                    next = next.min(Instant::now() + EAGER);
                }
                Event::Word => {
                    self.looks = true;
                    self.holder.be_keen();
                    next = self.turn().await;
                }
                Event::Due => next = self.turn().await,
            }
        }
        self.leave().await;
    }

    /// Renews what is due, takes what is missing, and says when to do so again.
    async fn turn(&mut self) -> Instant {
        self.pulse.beat();
        let (begun, beat) = (Instant::now(), self.config.beat());
        let is_renewal = begun >= self.renewal;
        let looks = std::mem::take(&mut self.looks) || self.holder.suspects(begun);
        // Redis may be slow; but what has run out meanwhile must be given up in time.
        let patience = self.holder.first_end().map_or(begun + 2 * beat, |end| {
            end.clamp(begun + EAGER, begun + 2 * beat)
        });
        let attempt = async {
            if is_renewal {
                self.holder.renew().await?;
            } else if looks {
                self.holder.look().await?;
            }
            self.holder.take().await
        };
        let done = timeout_at(patience, attempt).await;
        self.holder.lose_what_ran_out();
        let problem = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("Redis took longer than {:?}", begun.elapsed())),
        };
        let Some(problem) = problem else {
            self.delays.reset();
            self.part.ready();
            if is_renewal {
                self.renewal = begun + beat;
            }
            return self.next_turn();
        };
        self.part.not_ready(problem);
        let again = Instant::now() + self.delays.draw().min(beat);
        self.holder.first_end().map_or(again, |end| again.min(end))
    }

    /// When to look again, if all is well.
    fn next_turn(&self) -> Instant {
        let mut next = self.renewal;
        if let Some(end) = self.holder.first_death() {
            next = next.min(end);
        }
        match self.holder.eagerness() {
            Some(pause) => next.min(Instant::now() + pause),
            None => next,
        }
    }

    /// Gives everything back. The others are told first, so that each partition is taken as soon as
    /// it is free; who cannot be told gets the time to notice.
    async fn leave(mut self) {
        let beat = self.config.beat();
        let others = timeout(2 * beat, self.holder.retire()).await.unwrap_or(0);
        if others > 0 && !self.are_told(others).await {
            let noticed = Instant::now() + beat + 4 * EAGER;
            self.take_back_until(noticed, false).await;
        }
        self.holder.want_nothing();
        let deadline = Instant::now() + self.config.lease;
        self.take_back_until(deadline, true).await;
        self.holder.lose_all("it did not come back in time").await;
        if others > 0 {
            // Whoever waits longer than they would try closely tries now.
            self.are_told(others).await;
        }
    }

    /// Tells all who listen that partitions become free. Says whether that was all of so many
    /// others, beside this worker itself.
    async fn are_told(&self, others: usize) -> bool {
        let told = timeout(self.config.beat(), self.holder.tell()).await;
        told.is_ok_and(|told| told.is_ok_and(|told| told > others as u64))
    }

    /// Takes back what comes until the deadline, or until nothing is held if that is the end.
    async fn take_back_until(&mut self, deadline: Instant, ends_when_empty: bool) {
        while !(ends_when_empty && self.holder.is_empty()) {
            let returned = tokio::select! {
                returned = self.back.recv() => returned,
                () = sleep_until(deadline) => None,
            };
            let Some(returned) = returned else {
                return;
            };
            self.take_back(returned).await;
        }
    }

    /// Takes back what has come, all at once.
    async fn take_back(&mut self, first: Returned) {
        let mut all = vec![first];
        while let Ok(more) = self.back.try_recv() {
            all.push(more);
        }
        self.holder.take_back(all).await;
    }
}

//! The gateway's name and the lease on it. Everything that the gateway holds, sessions and places in
//! channels, it holds under this name, and what is held under a name that has ended is swept away.
//!
//! So a new name is also how Redis is told the truth again. When a server may have lost its last
//! writes, or was not told that somebody is gone, there may be sessions that are no more, and there
//! may be none of somebody who is connected; nobody could say which. Then the gateway takes another
//! name, says again under it whom it has, and gives the former one up: the sweep takes what only
//! that one held. Nobody is disconnected, and whoever is connected is shown online all the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chinwag_protocol::id::Incarnation;
use chinwag_runtime::{Context, Part};
use chinwag_store::Store;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::identity::{Doubts, Identity, SETTLED_QUEUE};
use crate::losses::Losses;

/// How often it is looked whether Redis has lost anything.
const LOOK: Duration = Duration::from_secs(1);
/// The least time between two names that are taken because something was left undone: saying again
/// whom the gateway has is work for a Redis that may have too much of it.
const PAUSE: Duration = Duration::from_secs(8);
/// Most former names that are kept alive. The lease of one more runs out, and what is held under it
/// is then shown as gone until it is held under the current name.
const MOST_FORMER: usize = 8;

/// Keeps the lease.
pub(crate) struct Name {
    store: Store,
    context: Context,
    lease: Duration,
    current: watch::Sender<Incarnation>,
    /// When the lease was surely whole; `None` before it is begun.
    renewed: Option<Instant>,
    /// Names under which there may be something that is not held under the current one yet.
    former: Vec<Incarnation>,
    /// Names that are to end.
    ending: Vec<Incarnation>,
    /// How many threads hold everything under the current name.
    settled: usize,
    threads: usize,
    /// Something was lost while the last name was being taken up.
    again: bool,
    taken: Instant,
    losses: Losses,
    doubts: Arc<Doubts>,
    holds: mpsc::Receiver<Incarnation>,
    ready: Part,
}

/// All that can happen to a name.
enum Happening {
    Gone,
    Renew,
    Look,
    Settled(Incarnation),
}

impl Name {
    /// A name that nobody has had, for a gateway of so many threads, and what its parts know of it.
    pub(crate) fn new(
        store: Store,
        context: &Context,
        lease: Duration,
        threads: usize,
    ) -> (Self, Identity) {
        let (current, name) = watch::channel(fresh());
        let (settled, holds) = mpsc::channel(SETTLED_QUEUE);
        let identity = Identity::new(name, settled);
        let keeper = Self {
            store,
            context: context.clone(),
            lease,
            current,
            renewed: None,
            former: Vec::new(),
            ending: Vec::new(),
            settled: threads,
            threads,
            again: false,
            taken: Instant::now(),
            losses: Losses::default(),
            doubts: Arc::clone(&identity.doubts),
            holds,
            ready: context.part("lease"),
        };
        (keeper, identity)
    }

    /// Renews the lease until the context stops and `gone` resolves, then gives the name up.
    pub(crate) async fn keep(mut self, gone: impl Future<Output = ()>) {
        let mut renew = tokio::time::interval(self.lease / 3);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(gone);
        loop {
            let happening = tokio::select! {
                () = &mut gone => Happening::Gone,
                _ = renew.tick() => Happening::Renew,
                _ = look.tick() => Happening::Look,
                () = self.doubts.looked_for() => Happening::Look,
                Some(name) = self.holds.recv() => Happening::Settled(name),
            };
            match happening {
                Happening::Gone => break,
                Happening::Renew => self.renew().await,
                Happening::Look => self.look().await,
                Happening::Settled(name) => self.settled(&name).await,
            }
        }
        self.former.push(self.current.borrow().clone());
        self.retire_former().await;
    }

    async fn renew(&mut self) {
        let (name, asked) = (self.current.borrow().clone(), Instant::now());
        let begins = self.renewed.is_none();
        // While the current name is being taken up the former ones live, whatever Redis has lost.
        for former in &self.former {
            drop(self.store.renew_gateway(former, self.lease, true).await);
        }
        match self.store.renew_gateway(&name, self.lease, begins).await {
            Ok(true) => {
                self.renewed = Some(asked);
                self.ready.ready();
            }
            Ok(false) => self.lost(&name).await,
            Err(error) => {
                tracing::warn!(%error, "cannot renew the lease on the gateway's name");
                self.ready.not_ready("Redis cannot be reached");
            }
        }
    }

    /// The lease on the name is no more.
    async fn lost(&mut self, name: &Incarnation) {
        let whole = |renewed: Instant| renewed.elapsed() < self.lease;
        if self.renewed.is_some_and(whole) {
            // Redis has forgotten it: to others, all who are here seem to be gone.
            drop(self.store.renew_gateway(name, self.lease, true).await);
            self.take("lost").await;
        } else {
            // Stopped for too long: others think us dead, and have swept up.
            self.take("expired").await;
        }
    }

    async fn look(&mut self) {
        self.retire().await;
        if self.losses.look(&self.store, self.lease / 6).await || self.again {
            self.take("lost").await;
        } else if self.taken.elapsed() > PAUSE && self.doubts.take() {
            self.take("undone").await;
        }
    }

    /// Takes another name, unless one is being taken up: then again, after that.
    async fn take(&mut self, reason: &'static str) {
        self.again = true;
        if self.settled < self.threads || self.context.is_stopping() {
            return;
        }
        // What is left undone from now on is left so under a name that others do not go by yet.
        self.doubts.take();
        let (next, asked) = (fresh(), Instant::now());
        match self.store.renew_gateway(&next, self.lease, true).await {
            Ok(_) => {
                tracing::warn!(reason, name = %next, "taking another name, to tell Redis again who is here");
                metrics::counter!("chinwag_gateway_renames_total", "reason" => reason).increment(1);
                let former = self.current.send_replace(next);
                self.former.push(former);
                if self.former.len() > MOST_FORMER {
                    self.former.remove(0);
                }
                self.renewed = Some(asked);
                (self.again, self.settled, self.taken) = (false, 0, asked);
                self.ready.ready();
            }
            Err(error) => tracing::warn!(%error, "cannot take another name; trying again"),
        }
    }

    /// A thread has everything under a name.
    async fn settled(&mut self, name: &Incarnation) {
        if *name != *self.current.borrow() || self.settled >= self.threads {
            return;
        }
        self.settled += 1;
        if self.settled == self.threads && !self.again {
            self.retire_former().await;
        }
    }

    async fn retire_former(&mut self) {
        self.ending.append(&mut self.former);
        self.retire().await;
    }

    /// Has names end. What fails is tried again, until their leases have run out by themselves.
    async fn retire(&mut self) {
        let mut left = Vec::new();
        for name in std::mem::take(&mut self.ending) {
            if let Err(error) = self.store.retire_gateway(&name).await {
                tracing::warn!(%error, "cannot give a name up");
                left.push(name);
            }
        }
        let over = left.len().saturating_sub(MOST_FORMER);
        self.ending = left.split_off(over);
    }
}

/// A name that nobody has had.
fn fresh() -> Incarnation {
    let mut name = uuid::Uuid::now_v7().to_string();
    loop {
        match Incarnation::new(&name) {
            Ok(incarnation) => return incarnation,
            Err(_) => name = uuid::Uuid::now_v7().to_string(),
        }
    }
}

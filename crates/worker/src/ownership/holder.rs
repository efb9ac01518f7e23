//! The leases themselves, and what Redis says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chinwag_protocol::id::Incarnation;
use chinwag_store::lease::Lease;
use chinwag_store::{Partition, Result, Store};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::fenced::Fenced;
use super::{EAGER, KEEN};
use crate::config::Config;
use crate::rendezvous;
use crate::shares::{Hold, Holds, Returned};

/// What a worker holds, under the name that it lives by at the moment.
pub(super) struct Holder {
    config: Config,
    role: &'static str,
    store: Store,
    name: Incarnation,
    /// Whether the lease on the name was begun.
    begun: bool,
    /// Who lives, this worker included, when it was last looked.
    live: BTreeSet<Incarnation>,
    /// What should be this worker's.
    mine: BTreeSet<Partition>,
    /// What it has, and for everybody to see.
    holds: watch::Sender<Holds>,
    /// When each lease was last known to have its whole time before it.
    renewed: BTreeMap<Partition, Instant>,
    /// Partitions that came back because somebody remembers a later holder.
    fenced: Fenced,
    eager_until: Instant,
    /// Until when another worker's partitions are tried more closely, because it has said that it goes.
    keen_until: Instant,
    /// When the first of the others is dead, unless it renews its name.
    first_death: Option<Instant>,
}

/// How long after word of a handover.
const KEENNESS: Duration = Duration::from_millis(500);
/// How long after a lease has ended it is looked whether it has.
const ROUNDING: Duration = Duration::from_millis(2);

/// A name that no process ever had.
fn new_name() -> Incarnation {
    let name = uuid::Uuid::now_v7().to_string();
    Incarnation::new(name).unwrap_or_else(|_| unreachable!("a UUID is a valid name"))
}

impl Holder {
    pub fn new(
        config: Config,
        role: &'static str,
        store: Store,
        holds: watch::Sender<Holds>,
    ) -> Self {
        Self {
            config,
            role,
            store,
            name: new_name(),
            begun: false,
            live: BTreeSet::new(),
            mine: BTreeSet::new(),
            holds,
            renewed: BTreeMap::new(),
            fenced: Fenced::default(),
            eager_until: Instant::now(),
            keen_until: Instant::now(),
            first_death: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.renewed.is_empty()
    }

    /// When the first of the leases ends, unless it is renewed.
    pub fn first_end(&self) -> Option<Instant> {
        let first = self.renewed.values().min();
        first.map(|renewed| *renewed + self.config.lease)
    }

    /// How soon to try again for what is missing, if another worker is about to give it up.
    pub fn eagerness(&self) -> Option<Duration> {
        let now = Instant::now();
        self.missing().next()?;
        if now < self.keen_until {
            return Some(KEEN);
        }
        (now < self.eager_until).then_some(EAGER)
    }

    /// Somebody has said that partitions become free.
    pub fn be_keen(&mut self) {
        self.keen_until = Instant::now() + KEENNESS;
    }

    /// When the first of the other workers is dead, unless it renews its name until then.
    pub fn first_death(&self) -> Option<Instant> {
        self.first_death
    }

    /// Whether somebody may be dead by now who lived when it was last looked.
    pub fn suspects(&self, now: Instant) -> bool {
        self.first_death.is_some_and(|death| death <= now)
    }

    fn missing(&self) -> impl Iterator<Item = Partition> {
        let held = |partition: &Partition| self.renewed.contains_key(partition);
        self.mine.iter().copied().filter(move |one| !held(one))
    }

    /// Renews the name and all leases, and sees what should be whose.
    pub async fn renew(&mut self) -> Result<()> {
        if !self.renew_name().await? {
            // This process stood still for so long that all it held may be another's.
            self.lose_all("the lease on the worker's name ran out")
                .await;
            self.name = new_name();
            self.begun = false;
            self.renew_name().await?;
        }
        self.begun = true;
        self.look().await?;
        let asked = Instant::now();
        let held = self.due(asked);
        let answers = self.ask(&held).await;
        let mut failure = None;
        for (partition, answer) in held.into_iter().zip(answers) {
            match answer {
                Ok(Some(lease)) if self.lease(partition).as_ref() == Some(&lease) => {
                    self.renewed.insert(partition, asked);
                }
                Ok(Some(lease)) => {
                    self.lose(partition, "it ran out");
                    self.hold(vec![lease], asked);
                }
                Ok(None) => self.lose(partition, "another worker has it"),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The leases that are renewed now. Half as often as the name is enough, because a dead
    /// worker's share is taken when both have run out; and every renewal goes to Redis's file.
    fn due(&self, now: Instant) -> Vec<Partition> {
        let beat = self.config.beat();
        let due = self.renewed.iter();
        let due = due.filter(|(_, renewed)| **renewed + beat + beat / 2 <= now);
        due.map(|(partition, _)| *partition).collect()
    }

    async fn renew_name(&self) -> Result<bool> {
        let (lease, begin) = (self.config.lease, !self.begun);
        let store = &self.store;
        store
            .renew_worker(self.role, &self.name, lease, begin)
            .await
    }

    /// Looks who lives, and computes what should be whose.
    pub async fn look(&mut self) -> Result<()> {
        let (mut workers, now) = self.store.workers(self.role).await?;
        let looked = Instant::now();
        workers.retain(|worker| worker.expiry > now);
        let others = workers
            .iter()
            .filter(|worker| worker.incarnation != self.name);
        let first = others.map(|worker| worker.expiry - now).min();
        self.first_death = first.map(|left| looked + Duration::from_millis(left) + ROUNDING);
        let alive = workers.into_iter().map(|worker| worker.incarnation);
        let live: BTreeSet<Incarnation> = alive.collect();
        if live != self.live {
            tracing::info!(role = self.role, workers = live.len(), "workers changed");
            self.eager_until = Instant::now() + 3 * self.config.beat();
            self.live = live;
        }
        let count = self.store.keys().partitions();
        self.mine = rendezvous::share(&self.live, &self.name, count);
        let mine = &self.mine;
        self.holds.send_if_modified(|holds| {
            let changed = |(partition, hold): (&Partition, &mut Hold)| {
                let wanted = mine.contains(partition);
                std::mem::replace(&mut hold.wanted, wanted) != wanted
            };
            holds
                .iter_mut()
                .map(changed)
                .fold(false, |one, other| one | other)
        });
        self.fenced.keep(mine);
        Ok(())
    }

    /// Takes what is missing and to be had.
    pub async fn take(&mut self) -> Result<()> {
        let now = Instant::now();
        let missing = self.missing();
        let missing: Vec<Partition> = missing.filter(|one| !self.fenced.rests(*one)).collect();
        let mut failure = None;
        let mut taken = Vec::new();
        for answer in self.ask(&missing).await {
            match answer {
                Ok(lease) => taken.extend(lease),
                Err(error) => failure = Some(error),
            }
        }
        self.hold(taken, now);
        failure.map_or(Ok(()), Err)
    }

    /// Asks for leases, new or renewed, all at once.
    async fn ask(&self, partitions: &[Partition]) -> Vec<Result<Option<Lease>>> {
        let (name, lease) = (&self.name, self.config.lease);
        let asked = partitions.iter().map(|partition| {
            let above = self.fenced.above(*partition);
            self.store
                .take_lease(*partition, self.role, name, lease, above)
        });
        join_all(asked).await
    }

    fn hold(&mut self, leases: Vec<Lease>, since: Instant) {
        if leases.is_empty() {
            return;
        }
        let role = self.role;
        metrics::counter!("chinwag_worker_takeovers_total", "role" => role)
            .increment(leases.len() as u64);
        tracing::info!(role, partitions = leases.len(), "took partitions");
        for lease in &leases {
            self.renewed.insert(lease.partition, since);
        }
        self.holds.send_modify(|holds| {
            let new = leases.into_iter();
            holds.extend(new.map(|lease| (lease.partition, Hold::new(lease))));
        });
        self.count();
    }

    fn count(&self) {
        metrics::gauge!("chinwag_worker_partitions", "role" => self.role)
            .set(self.renewed.len() as f64);
    }

    /// Takes partitions back from whoever worked on them, and releases them for others.
    pub async fn take_back(&mut self, mut returned: Vec<Returned>) {
        returned.retain(|one| self.lease(one.lease.partition).as_ref() == Some(&one.lease));
        for one in &returned {
            self.forget(one.lease.partition);
        }
        let releases = returned
            .iter()
            .map(|one| self.store.release_lease(&one.lease));
        let released = timeout(self.config.beat(), join_all(releases)).await;
        let all = released.is_ok_and(|released| released.iter().all(Result::is_ok));
        if !all {
            tracing::debug!("cannot release all leases, they will run out");
        }
        tracing::info!(
            role = self.role,
            partitions = returned.len(),
            "gave partitions back"
        );
        for one in returned {
            if let Some(above) = one.fenced {
                self.fenced.note(one.lease.partition, above);
                self.eager_until = Instant::now() + 3 * self.config.beat();
            }
        }
    }

    fn lease(&self, partition: Partition) -> Option<Lease> {
        let holds = self.holds.borrow();
        holds.get(&partition).map(|hold| hold.lease.clone())
    }

    fn forget(&mut self, partition: Partition) -> Option<Hold> {
        self.renewed.remove(&partition);
        let mut hold = None;
        self.holds
            .send_modify(|holds| hold = holds.remove(&partition));
        self.count();
        hold
    }

    fn lose(&mut self, partition: Partition, why: &'static str) {
        let role = self.role;
        tracing::warn!(role, partition = partition.0, why, "lost a partition");
        if let Some(hold) = self.forget(partition) {
            hold.lose();
        }
    }

    /// Gives up what has not been renewed for a lease.
    pub fn lose_what_ran_out(&mut self) {
        let now = Instant::now();
        let (lease, renewed) = (self.config.lease, &self.renewed);
        let over = renewed.iter().filter(|(_, since)| **since + lease <= now);
        for partition in over.map(|(partition, _)| *partition).collect::<Vec<_>>() {
            self.lose(partition, "its lease could not be renewed");
        }
    }

    /// Gives up everything, and lets others have it as far as Redis can be told.
    pub async fn lose_all(&mut self, why: &'static str) {
        let leases: Vec<Lease> = {
            let holds = self.holds.borrow();
            holds.values().map(|hold| hold.lease.clone()).collect()
        };
        for lease in &leases {
            self.lose(lease.partition, why);
        }
        let releases = leases.iter().map(|lease| self.store.release_lease(lease));
        // What cannot be released runs out by itself.
        drop(timeout(self.config.beat(), join_all(releases)).await);
    }

    /// Gives the name up, so that partitions are others'. Says how many others there are.
    pub async fn retire(&self) -> usize {
        if let Err(error) = self.store.retire_worker(self.role, &self.name).await {
            tracing::debug!(%error, "cannot retire, the lease will run out");
            return 0;
        }
        let others = self.live.iter().filter(|worker| **worker != self.name);
        others.count()
    }

    /// Tells the others that partitions become free. Says how many heard it.
    pub async fn tell(&self) -> Result<u64> {
        self.store.tell_handover(self.role).await
    }

    /// Asks for everything back.
    pub fn want_nothing(&self) {
        tracing::info!(
            role = self.role,
            partitions = self.renewed.len(),
            "handing partitions over"
        );
        self.holds
            .send_modify(|holds| holds.values_mut().for_each(|hold| hold.wanted = false));
    }
}

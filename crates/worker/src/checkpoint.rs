//! The checkpointed loop over the logs of a worker's share.
//!
//! One task: follow the share, open what is new, read all logs at once, do the partitions'
//! batches side by side, move their marks. A partition that has trouble rests by itself while the
//! others go on; a Redis that is away stops all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chinwag_runtime::{Backoff, Context, Delays, Part, Pulse};
use chinwag_store::lease::Lease;
use chinwag_store::log::Batch;
use chinwag_store::{Partition, Store};
use futures_util::future::join_all;
use metrics::counter;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::{Config, Error};
use crate::consumer::{Consumer, Failure};
use crate::lag::{self, Places};
use crate::ownership::Ownership;
use crate::reader::{Event, Reader, WAIT};
use crate::round::{Outcome, Work};
use crate::shares::Shares;

/// Has a consumer act on the logs of this worker's share, until the context stops and everything
/// is marked and given back.
///
/// # Errors
/// When a setting is wrong. What may pass by itself is waited for.
pub async fn run<C: Consumer>(
    config: Config,
    store: Store,
    consumer: C,
    context: &Context,
) -> Result<(), Error> {
    let config = config.checked()?;
    let reader = Reader::new(&store, config)?;
    let (ownership, shares) = Ownership::begin(config, C::ROLE, store.clone(), context);
    let places = Places::new(C::ROLE);
    let log = Log {
        consumer: &consumer,
        places: &places,
        store: &store,
        shares,
        reader,
        works: BTreeMap::new(),
        given_back: BTreeSet::new(),
        delays: Backoff::DEFAULT.delays(),
        part: context.part("log"),
        pulse: context.pulse("log"),
    };
    tokio::select! {
        () = log.run() => {}
        never = lag::watch(&store, &places, &consumer) => match never {},
    }
    ownership.ended().await;
    Ok(())
}

struct Log<'a, C: Consumer> {
    consumer: &'a C,
    places: &'a Places,
    store: &'a Store,
    shares: Shares,
    reader: Reader,
    works: BTreeMap<Partition, Work<C::Share>>,
    /// What went back and is still held until that is noticed there, with its token.
    given_back: BTreeSet<(Partition, u64)>,
    delays: Delays,
    part: Part,
    pulse: Pulse,
}

impl<C: Consumer> Log<'_, C> {
    async fn run(mut self) {
        loop {
            self.pulse.beat();
            self.follow().await;
            self.open().await;
            self.pulse.beat();
            let now = Instant::now();
            let places: Vec<_> = self
                .works
                .iter()
                .filter_map(|(partition, work)| Some((*partition, work.place(now)?)))
                .collect();
            let event = self.reader.next(&mut self.shares, &places, now + WAIT);
            match event.await {
                Event::Ended => return,
                Event::Shares => {}
                Event::Batches(batches) => {
                    self.delays.reset();
                    let (begun, any) = (Instant::now(), !batches.is_empty());
                    self.round(batches).await;
                    self.tell();
                    if any {
                        self.rest(begun.elapsed()).await;
                    }
                }
                Event::Failed(error) => self.weather(&error).await,
            }
        }
    }

    /// Makes the works those of the share: drops what was lost, gives back what is not wanted,
    /// begins with what is new.
    async fn follow(&mut self) {
        let holds = self.shares.now();
        let is_held = |partition: &Partition, token: u64| {
            let hold = holds.get(partition);
            hold.is_some_and(|hold| hold.lease.token == token && !hold.is_lost())
        };
        let lost: Vec<Partition> = self
            .works
            .iter()
            .filter(|(partition, work)| !is_held(partition, work.hold.lease.token))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in lost {
            self.drop_work(partition);
        }
        self.given_back
            .retain(|(partition, token)| is_held(partition, *token));
        let mut unwanted = Vec::new();
        for (partition, hold) in holds {
            if self.given_back.contains(&(partition, hold.lease.token)) {
                continue;
            }
            if hold.wanted {
                self.works
                    .entry(partition)
                    .or_insert_with(|| Work::new(hold));
            } else {
                unwanted.push((hold.lease, self.works.remove(&partition)));
            }
        }
        self.give_back(unwanted).await;
        if let Err(error) = self.reader.divide(self.works.len()) {
            self.weather(&error).await;
        }
    }

    /// Closes partitions side by side, and gives each back as soon as it is closed.
    async fn give_back(&mut self, unwanted: Vec<(Lease, Option<Work<C::Share>>)>) {
        let (consumer, shares) = (self.consumer, &self.shares);
        let closing = unwanted.into_iter().map(|(lease, work)| async move {
            let given = (lease.partition, lease.token);
            if let Some(mut work) = work {
                work.close(consumer).await;
            }
            shares.give_back(lease).await;
            given
        });
        for given in join_all(closing).await {
            self.drop_work(given.0);
            self.given_back.insert(given);
        }
    }

    fn drop_work(&mut self, partition: Partition) {
        self.works.remove(&partition);
        self.places.remove(partition);
    }

    /// Opens what is not open yet and does not rest.
    async fn open(&mut self) {
        let now = Instant::now();
        let (consumer, store, places) = (self.consumer, self.store, self.places);
        let closed = self
            .works
            .iter_mut()
            .filter(|(_, work)| work.open.is_none() && work.again <= now);
        let opening = closed.map(|(partition, work)| async move {
            let outcome = match store.mark(*partition, C::ROLE).await {
                Ok(mark) => {
                    places.set(*partition, mark);
                    work.open(consumer, mark).await
                }
                Err(error) => work.settle(Some(Err(Failure::from(error))), |_, ()| ()),
            };
            (*partition, outcome)
        });
        let outcomes = join_all(opening).await;
        self.settle(outcomes).await;
    }

    /// One round: the batches, and for all partitions what is due by time.
    async fn round(&mut self, batches: Vec<Batch>) {
        let mut batches: BTreeMap<Partition, Batch> = batches
            .into_iter()
            .map(|batch| (batch.partition, batch))
            .collect();
        let now = Instant::now();
        let (consumer, store, places) = (self.consumer, self.store, self.places);
        let going = self
            .works
            .iter_mut()
            .filter(|(_, work)| work.place(now).is_some());
        let steps = going.map(|(partition, work)| {
            let batch = batches.remove(partition);
            let trims = !C::TRIM_AFTER.is_empty() && batch.is_none();
            let trim = trims && places.take_trimmable(*partition);
            async move {
                let outcome = work.step(consumer, store, batch, trim).await;
                if let Some(open) = &work.open {
                    places.set(*partition, open.place);
                }
                (*partition, outcome)
            }
        });
        let outcomes = join_all(steps).await;
        self.settle(outcomes).await;
    }

    /// Lets entries gather after a round that took so long.
    async fn rest(&mut self, took: Duration) {
        let rest = C::REST.min(3 * took);
        if rest > Duration::ZERO {
            tokio::select! {
                // Seen by the next read too, if it is the end.
                _ = self.shares.changed() => {}
                () = sleep(rest) => {}
            }
        }
    }

    /// Counts what failed, and lets go of what cannot be worked on any more.
    async fn settle(&mut self, outcomes: Vec<(Partition, Outcome)>) {
        for (partition, outcome) in outcomes {
            let above = match outcome {
                Outcome::Goes => continue,
                Outcome::Rests => {
                    counter!("chinwag_worker_errors_total", "role" => C::ROLE).increment(1);
                    continue;
                }
                Outcome::Lost => None,
                Outcome::Fenced { above } => Some(above),
            };
            let work = self.works.remove(&partition);
            self.drop_work(partition);
            self.reader.forget(partition);
            if let (Some(above), Some(work)) = (above, work) {
                let lease = work.hold.lease;
                tracing::warn!(role = C::ROLE, partition = partition.0, above, "fenced");
                self.given_back.insert((partition, lease.token));
                self.shares.give_back_fenced(lease, above).await;
            }
        }
    }

    /// Says whether all is well, and if not, why. The part logs when that changes.
    fn tell(&self) {
        let mut troubles = self
            .works
            .iter()
            .filter_map(|(partition, work)| Some((partition, work.trouble.as_ref()?)));
        match troubles.next() {
            None => self.part.ready(),
            Some((partition, trouble)) => {
                let (partition, others) = (partition.0, troubles.count());
                self.part.not_ready(format!(
                    "partition {partition} and {others} others: {trouble}"
                ));
            }
        }
    }

    /// Waits until Redis may be back.
    async fn weather(&mut self, error: &chinwag_store::Error) {
        counter!("chinwag_worker_errors_total", "role" => C::ROLE).increment(1);
        self.part.not_ready(error.to_string());
        let until = Instant::now() + self.delays.draw();
        tokio::select! {
            // Seen by the next read too, if it is the end.
            _ = self.shares.changed() => {}
            () = sleep_until(until) => {}
        }
    }
}

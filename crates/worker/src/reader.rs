//! Waiting for entries, and for whatever else should end the wait.

use std::time::Duration;

use chinwag_store::log::{self, Batch, LogId};
use chinwag_store::{Partition, Store};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::{Config, Error};
use crate::shares::Shares;

/// How long a read waits for an entry. New ones end it at once; this is how often a worker does
/// what is due by time.
pub(crate) const WAIT: Duration = Duration::from_millis(500);

/// The pause after a read that was empty although it did not wait. That is once after an epoch
/// changed; if it goes on, somebody has taken the epoch away by hand.
const PAUSE: Duration = Duration::from_millis(10);

/// Why a wait ended.
pub(crate) enum Event {
    /// Something else is held now.
    Shares,
    /// Nothing will be held any more.
    Ended,
    /// Entries, or none within the wait.
    Batches(Vec<Batch>),
    /// Redis did not answer.
    Failed(chinwag_store::Error),
}

/// Reads of all logs of one worker.
pub(crate) struct Reader {
    store: Store,
    config: Config,
    log: log::Reader,
    /// For how many partitions its batches are cut.
    partitions: usize,
}

impl Reader {
    pub fn new(store: &Store, config: Config) -> Result<Self, Error> {
        Ok(Self {
            store: store.clone(),
            config,
            log: store.reader(config.batch_for(0), WAIT)?,
            partitions: 0,
        })
    }

    /// Cuts the batches for this many partitions.
    pub fn divide(&mut self, partitions: usize) -> Result<(), chinwag_store::Error> {
        let before = self.config.batch_for(self.partitions);
        self.partitions = partitions;
        if self.config.batch_for(partitions) == before {
            return Ok(());
        }
        self.renew()
    }

    fn renew(&mut self) -> Result<(), chinwag_store::Error> {
        let count = self.config.batch_for(self.partitions);
        self.log = self.store.reader(count, WAIT)?;
        Ok(())
    }

    /// Asks for a partition's epoch anew.
    pub fn forget(&mut self, partition: Partition) {
        self.log.forget(partition);
    }

    /// The next thing that happens, nothing of it later than `until`.
    pub async fn next(
        &mut self,
        shares: &mut Shares,
        places: &[(Partition, LogId)],
        until: Instant,
    ) -> Event {
        if places.is_empty() {
            return tokio::select! {
                changed = shares.changed() => if changed { Event::Shares } else { Event::Ended },
                () = sleep_until(until) => Event::Batches(Vec::new()),
            };
        }
        let begun = Instant::now();
        let changed = tokio::select! {
            biased;
            changed = shares.changed() => changed,
            read = self.log.read(places) => return finished(read, begun).await,
        };
        if !changed {
            return Event::Ended;
        }
        // The read goes on in Redis and would hold up the next one on its connection.
        match self.renew() {
            Ok(()) => Event::Shares,
            Err(error) => Event::Failed(error),
        }
    }
}

async fn finished(read: Result<Vec<Batch>, chinwag_store::Error>, begun: Instant) -> Event {
    match read {
        Ok(batches) => {
            if batches.is_empty() && begun.elapsed() < WAIT / 2 {
                sleep(PAUSE).await;
            }
            Event::Batches(batches)
        }
        Err(error) => Event::Failed(error),
    }
}

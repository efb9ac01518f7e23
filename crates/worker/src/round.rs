//! What happens with one partition in one round: effects first, then the mark.

use std::time::Duration;

use chinwag_runtime::{Backoff, Delays};
use chinwag_store::Store;
use chinwag_store::log::{Batch, LogId};
use metrics::{counter, histogram};
use tokio::time::{Instant, timeout};

use crate::consumer::{Consumer, Failure};
use crate::shares::Hold;

/// How long one step of one partition may take before it is broken off and tried again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A partition that this worker works on.
pub(crate) struct Work<S> {
    pub hold: Hold,
    /// What was opened, if it was.
    pub open: Option<Open<S>>,
    /// Why it does not go on, if it does not.
    pub trouble: Option<String>,
    /// When to try again after trouble.
    pub again: Instant,
    delays: Delays,
}

/// An opened partition.
pub(crate) struct Open<S> {
    pub share: S,
    /// Everything up to here is done, and so is the mark.
    pub place: LogId,
    /// Entries up to here are counted as read already.
    pub counted: LogId,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Goes,
    /// Failed, and rests until it is tried again.
    Rests,
    /// The lease is gone.
    Lost,
    /// Another one is remembered as the holder.
    Fenced { above: u64 },
}

impl<S: Send> Work<S> {
    pub fn new(hold: Hold) -> Self {
        Self {
            hold,
            open: None,
            trouble: None,
            again: Instant::now(),
            delays: Backoff::DEFAULT.delays(),
        }
    }

    /// Where to read on, if it goes on.
    pub fn place(&self, now: Instant) -> Option<LogId> {
        let open = self.open.as_ref()?;
        (self.again <= now).then_some(open.place)
    }

    /// Opens the partition.
    pub async fn open<C: Consumer<Share = S>>(&mut self, consumer: &C, mark: LogId) -> Outcome {
        let hold = self.hold.clone();
        let opening = consumer.open(&hold.lease, mark);
        let done = guarded(&hold, opening).await;
        self.settle(done, |work, (share, place)| {
            let counted = mark;
            work.open = Some(Open {
                share,
                place,
                counted,
            });
        })
    }

    /// Does a batch, if there is one, and what is due by time. `trim` asks to trim what is done.
    pub async fn step<C: Consumer<Share = S>>(
        &mut self,
        consumer: &C,
        store: &Store,
        batch: Option<Batch>,
        trim: bool,
    ) -> Outcome {
        let hold = self.hold.clone();
        let Some(mut open) = self.open.take() else {
            return Outcome::Goes;
        };
        let done = guarded(&hold, async {
            match &batch {
                Some(batch) => open.apply(consumer, store, &hold, batch).await?,
                None if trim => open.mark(consumer, store, &hold, open.place, 0).await?,
                None => {}
            }
            consumer.tick(&mut open.share, &hold.lease).await
        })
        .await;
        self.open = Some(open);
        self.settle(done, |_, ()| ())
    }

    /// Does what was put off, before the partition goes to another worker.
    pub async fn close<C: Consumer<Share = S>>(&mut self, consumer: &C) {
        let hold = self.hold.clone();
        let Some(open) = &mut self.open else {
            return;
        };
        let closed = guarded(&hold, consumer.close(&mut open.share, &hold.lease)).await;
        if let Some(Err(failure)) = closed {
            tracing::warn!(role = C::ROLE, partition = hold.lease.partition.0, %failure,
                "cannot close a partition in good order");
        }
    }

    /// Notes how something ended; `None` if the lease was lost meanwhile.
    pub fn settle<T>(
        &mut self,
        done: Option<Result<T, Failure>>,
        with: impl FnOnce(&mut Self, T),
    ) -> Outcome {
        match done {
            None => Outcome::Lost,
            Some(Ok(value)) => {
                self.delays.reset();
                self.trouble = None;
                with(self, value);
                Outcome::Goes
            }
            Some(Err(Failure::Fenced { above })) => Outcome::Fenced { above },
            Some(Err(Failure::Later(problem))) => {
                self.again = Instant::now() + self.delays.draw();
                self.trouble = Some(problem);
                Outcome::Rests
            }
        }
    }
}

impl<S> Open<S> {
    async fn apply<C: Consumer<Share = S>>(
        &mut self,
        consumer: &C,
        store: &Store,
        hold: &Hold,
        batch: &Batch,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let Some(last) = batch.entries.last() else {
            return Ok(());
        };
        consumer.apply(&mut self.share, &hold.lease, batch).await?;
        let counted = self.counted;
        let new = batch.entries.iter().filter(|entry| entry.id > counted);
        let new = new.count();
        self.mark(consumer, store, hold, last.id, new).await?;
        self.place = last.id;
        self.counted = counted.max(last.id);
        let role = C::ROLE;
        let size = batch.entries.len();
        counter!("chinwag_worker_entries_total", "role" => role).increment(size as u64);
        histogram!("chinwag_worker_batch_size", "role" => role).record(size as f64);
        histogram!("chinwag_worker_batch_seconds", "role" => role).record(begun.elapsed());
        report_unreadable(role, batch);
        Ok(())
    }

    /// Moves the mark, and trims.
    async fn mark<C: Consumer<Share = S>>(
        &self,
        consumer: &C,
        store: &Store,
        hold: &Hold,
        place: LogId,
        new: usize,
    ) -> Result<(), Failure> {
        let trimmed = store
            .move_mark(&hold.lease, place, new, C::TRIM_AFTER)
            .await?;
        if trimmed > 0 {
            consumer.trimmed(trimmed);
        }
        Ok(())
    }
}

/// After the mark, so that an entry is reported once however often its batch was tried.
fn report_unreadable(role: &'static str, batch: &Batch) {
    for entry in batch.entries.iter().filter(|entry| entry.read().is_none()) {
        let (partition, place) = (batch.partition.0, entry.id.to_string());
        let room = entry.room.as_ref().map(ToString::to_string);
        let problem = entry.event.as_ref().err().map(ToString::to_string);
        tracing::error!(
            role,
            partition,
            place,
            room,
            problem,
            "cannot read an entry"
        );
        counter!("chinwag_worker_unreadable_entries_total", "role" => role).increment(1);
    }
}

/// Runs something for as long as the partition is held and not longer than [`PATIENCE`]. `None`
/// if the partition was lost.
async fn guarded<T>(
    hold: &Hold,
    work: impl Future<Output = Result<T, Failure>>,
) -> Option<Result<T, Failure>> {
    tokio::select! {
        biased;
        () = hold.lost() => None,
        done = timeout(PATIENCE, work) => Some(done.unwrap_or_else(|_| {
            Err(Failure::Later(format!("took longer than {} s", PATIENCE.as_secs())))
        })),
    }
}

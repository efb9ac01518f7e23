//! The way in: what waits for a partition goes to Redis in one call, and while that is under way
//! the next batch gathers. No timer: a lone message leaves at once, a crowd leaves together.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_store::Partition;
use chinwag_store::append::{Appended, Draft};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;

/// Most messages in one call, so that it stays well under a millisecond of Redis's time.
const BATCH_MESSAGES: usize = 64;
/// Most bytes in one call, for the same reason.
const BATCH_BYTES: usize = 64 * 1024;
/// Calls that may be under way at once. Under load more of them would only make each smaller: a
/// lane that waits for its turn gathers meanwhile.
const TURNS: usize = 4;
/// How long a lane waits for its turn. Another server's silence must not hold it up.
const TURN_WAIT: Duration = Duration::from_millis(5);
/// Most messages that wait for one partition. When it is full senders are told to slow down.
const QUEUE_MESSAGES: usize = 10_000;

/// What a sender hears.
pub(crate) type Answer = Result<Appended, Refusal>;

/// A draft and who waits for its answer.
pub(crate) struct Waiting {
    pub draft: Draft,
    pub answer: oneshot::Sender<Answer>,
}

/// One queue for each partition.
pub(crate) struct Batcher {
    lanes: Vec<Mutex<Lane>>,
    turns: Semaphore,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    /// Whether somebody takes batches from this lane until it is empty.
    served: bool,
}

/// What became of a draft that was handed in.
pub(crate) enum Queued {
    /// It waits; somebody serves the lane already.
    Waits(oneshot::Receiver<Answer>),
    /// It waits, and the caller must have the lane served.
    Serve(oneshot::Receiver<Answer>),
}

impl Batcher {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            lanes: (0..partitions).map(|_| Mutex::default()).collect(),
            turns: Semaphore::new(TURNS),
        }
    }

    /// Hands in a draft. Drafts of one partition leave in the order in which they came.
    pub(crate) fn hand_in(&self, partition: Partition, draft: Draft) -> Result<Queued, Refusal> {
        let (answer, receiver) = oneshot::channel();
        let mut lane = self.lane(partition)?;
        if lane.waiting.len() >= QUEUE_MESSAGES {
            let message = format!("{QUEUE_MESSAGES} messages wait for Redis already; try again");
            return Err(Refusal::new(Code::TooManyRequests, message));
        }
        lane.waiting.push_back(Waiting { draft, answer });
        metrics::gauge!("chinwag_gateway_append_queue_depth").increment(1.0);
        if std::mem::replace(&mut lane.served, true) {
            Ok(Queued::Waits(receiver))
        } else {
            Ok(Queued::Serve(receiver))
        }
    }

    /// Whether anything waits or is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = |lane: &Mutex<Lane>| lane.lock().is_ok_and(|lane| lane.served);
        self.lanes.iter().any(busy)
    }

    /// Waits for a turn to make a call, but not for long: nothing if it did not come.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Some(turn);
        }
        timeout(TURN_WAIT, self.turns.acquire()).await.ok()?.ok()
    }

    /// The next batch of a lane that the caller serves; empty if it has nothing more to do.
    pub(crate) fn next(&self, partition: Partition) -> Vec<Waiting> {
        let Ok(mut lane) = self.lane(partition) else {
            return Vec::new();
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_MESSAGES && bytes < BATCH_BYTES {
            let Some(waiting) = lane.waiting.pop_front() else {
                break;
            };
            bytes += waiting.draft.size();
            batch.push(waiting);
        }
        if batch.is_empty() {
            lane.served = false;
        }
        metrics::gauge!("chinwag_gateway_append_queue_depth").decrement(count(batch.len()));
        batch
    }

    /// All that waits in a lane that the caller serves: it has nothing more to do. For when Redis
    /// stands still: whoever waits is told so now, and not after everybody before them has waited
    /// in vain.
    pub(crate) fn give_up(&self, partition: Partition) -> Vec<Waiting> {
        let Ok(mut lane) = self.lane(partition) else {
            return Vec::new();
        };
        lane.served = false;
        let waiting: Vec<Waiting> = std::mem::take(&mut lane.waiting).into();
        metrics::gauge!("chinwag_gateway_append_queue_depth").decrement(count(waiting.len()));
        waiting
    }

    fn lane(&self, partition: Partition) -> Result<MutexGuard<'_, Lane>, Refusal> {
        let lane = self.lanes.get(usize::from(partition.0));
        let lane = lane.ok_or_else(|| Refusal::new(Code::Internal, "no such partition"))?;
        Ok(lane.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A count as metrics want it.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

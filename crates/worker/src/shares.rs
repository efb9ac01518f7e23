//! What a worker holds at the moment, and how it gives it back.

use std::collections::BTreeMap;

use chinwag_store::Partition;
use chinwag_store::lease::Lease;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A partition that this worker holds.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The lease, which effects carry.
    pub lease: Lease,
    /// Whether the worker is to keep it. If not, it finishes what it does and gives it back.
    pub wanted: bool,
    lost: CancellationToken,
}

impl Hold {
    pub(crate) fn new(lease: Lease) -> Self {
        Self {
            lease,
            wanted: true,
            lost: CancellationToken::new(),
        }
    }

    /// Resolves when the lease is lost, or may have been: whatever is under way must stop.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether the lease is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    pub(crate) fn lose(&self) {
        self.lost.cancel();
    }
}

/// All that is held, by partition.
pub type Holds = BTreeMap<Partition, Hold>;

/// A partition that comes back from the worker.
#[derive(Debug)]
pub(crate) struct Returned {
    pub lease: Lease,
    /// Set if somebody else remembers a later holder: the token that the next one must be above.
    pub fenced: Option<u64>,
}

/// A worker's view of its share. Ends when its [`crate::Ownership`] does.
#[derive(Debug)]
pub struct Shares {
    holds: watch::Receiver<Holds>,
    back: mpsc::Sender<Returned>,
}

impl Shares {
    /// The two ends. As much can be on its way back as there are partitions, twice.
    pub(crate) fn channel(
        partitions: u16,
    ) -> (watch::Sender<Holds>, mpsc::Receiver<Returned>, Self) {
        let (sender, holds) = watch::channel(Holds::new());
        let (back, returned) = mpsc::channel(2 * usize::from(partitions));
        (sender, returned, Self { holds, back })
    }

    /// What is held now. What changes after this resolves [`Shares::changed`].
    pub fn now(&mut self) -> Holds {
        self.holds.borrow_and_update().clone()
    }

    /// Waits until something is different from what [`Shares::now`] said last. `false` at the
    /// end, when nothing is held any more.
    pub async fn changed(&mut self) -> bool {
        self.holds.changed().await.is_ok()
    }

    /// Another view of the same share, for a task beside the one that gives back.
    #[must_use]
    pub fn view(&self) -> View {
        View(self.holds.clone())
    }

    /// Gives back a partition that is no longer wanted. Whoever calls this must have stopped
    /// working on it.
    pub async fn give_back(&self, lease: Lease) {
        self.send(lease, None).await;
    }

    /// Gives back a partition that others believe to be another's: it is taken anew, with a token
    /// above `above`, if that is possible.
    pub async fn give_back_fenced(&self, lease: Lease, above: u64) {
        self.send(lease, Some(above)).await;
    }

    async fn send(&self, lease: Lease, fenced: Option<u64>) {
        // Without an owner there is nobody to give it to, and the lease runs out by itself.
        drop(self.back.send(Returned { lease, fenced }).await);
    }
}

/// What is held, to look at.
#[derive(Debug, Clone)]
pub struct View(watch::Receiver<Holds>);

impl View {
    /// What is held now.
    #[must_use]
    pub fn now(&self) -> Holds {
        self.0.borrow().clone()
    }
}

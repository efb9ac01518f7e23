//! Under which name a gateway holds what it holds, as its parts share it: the name of now, the word
//! that something was left undone, and the word that everything is held under a new name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chinwag_protocol::id::Incarnation;
use tokio::sync::{Notify, mpsc, watch};

/// Parts that have taken a name up and were not listened to yet. Each thread says it once a name.
pub(crate) const SETTLED_QUEUE: usize = 64;

/// Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The name of now.
    pub name: watch::Receiver<Incarnation>,
    pub doubts: Arc<Doubts>,
    settled: mpsc::Sender<Incarnation>,
}

/// Reasons to believe that Redis knows something else of this gateway than is so.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    undone: AtomicBool,
    look: Notify,
}

impl Identity {
    pub(crate) fn new(
        name: watch::Receiver<Incarnation>,
        settled: mpsc::Sender<Incarnation>,
    ) -> Self {
        Self {
            name,
            doubts: Arc::default(),
            settled,
        }
    }

    /// The name of now.
    pub(crate) fn now(&self) -> Incarnation {
        self.name.borrow().clone()
    }

    /// Whether the name is still this one. What was written under another is written again.
    pub(crate) fn is(&self, name: &Incarnation) -> bool {
        *self.name.borrow() == *name
    }

    /// A thread has everything under this name.
    pub(crate) async fn settled(&self, name: Incarnation) {
        // Only gone when the gateway is.
        drop(self.settled.send(name).await);
    }
}

impl Doubts {
    /// Redis was not told that somebody is gone.
    pub(crate) fn undone(&self) {
        self.undone.store(true, Ordering::Release);
    }

    /// Whether something was left undone since this was asked.
    pub(crate) fn take(&self) -> bool {
        self.undone.swap(false, Ordering::AcqRel)
    }

    /// Has somebody look now whether Redis has lost anything.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    pub(crate) async fn looked_for(&self) {
        self.look.notified().await;
    }
}

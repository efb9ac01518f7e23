//! What threads ask the inlet for.

use std::cell::RefCell;
use std::collections::VecDeque;

use chinwag_protocol::id::RoomId;
use tokio::sync::{Notify, mpsc};

/// What a thread wants.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// The rooms' events, from an [`ShardEvent::Opened`] on.
    Join(usize, Vec<RoomId>),
    /// No more of them.
    Leave(usize, RoomId),
    /// The room's log is in another epoch than what is heard of it.
    Look(RoomId),
}

/// Where threads ask for rooms.
pub(crate) type Wishes = mpsc::Sender<Wanted>;

/// Wishes of one thread that have not reached the inlet yet. A wish to leave that overtook a wish to
/// join would leave the room's readers deaf. No longer than the subscriptions that begin or end.
#[derive(Default)]
pub(crate) struct WishList {
    queue: RefCell<VecDeque<Wanted>>,
    filled: Notify,
}

impl WishList {
    pub(crate) fn add(&self, wanted: Wanted) {
        self.queue.borrow_mut().push_back(wanted);
        self.filled.notify_one();
    }

    /// Passes wishes on, in order. Ends with the inlet.
    pub(crate) async fn pass(&self, inlet: &Wishes) {
        loop {
            let next = self.queue.borrow_mut().pop_front();
            match next {
                Some(wanted) => {
                    if inlet.send(wanted).await.is_err() {
                        return;
                    }
                }
                None => self.filled.notified().await,
            }
        }
    }
}

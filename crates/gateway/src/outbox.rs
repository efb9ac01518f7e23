//! What waits for one connection: framed messages, bounded in bytes.
//!
//! When it is full, what may be dropped is dropped; if what may not does not fit, the reader is
//! cut and will come back for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// Most bytes that go into one frame.
const FRAME_BYTES: usize = 64 * 1024;

/// A queue that belongs to one thread.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    limit: usize,
    overflowed: Cell<bool>,
    filled: Notify,
}

/// What became of a message that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits.
    Waits,
    /// It was dropped: it could be, and the queue is half full.
    Dropped,
    /// It does not fit, and cannot be dropped.
    Overflow,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        let (queue, bytes, overflowed) = (RefCell::default(), Cell::new(0), Cell::new(false));
        Self {
            queue,
            bytes,
            limit,
            overflowed,
            filled: Notify::new(),
        }
    }

    /// Puts in a framed message.
    pub(crate) fn put(&self, message: Bytes, droppable: bool) -> Put {
        if message.is_empty() {
            return Put::Dropped;
        }
        let bytes = self.bytes.get() + message.len();
        if droppable && bytes > self.limit / 2 {
            return Put::Dropped;
        }
        // One message alone always fits: a reply may be larger than the limit on what gathers.
        if bytes > self.limit && self.bytes.get() > 0 {
            self.overflowed.set(true);
            self.filled.notify_one();
            return Put::Overflow;
        }
        self.bytes.set(bytes);
        self.queue.borrow_mut().push_back(message);
        self.filled.notify_one();
        Put::Waits
    }

    /// The next frame: as many messages as fit, without the last line break, which only separates.
    pub(crate) fn frame(&self, text: bool) -> Option<Bytes> {
        let mut queue = self.queue.borrow_mut();
        let first = queue.pop_front()?;
        let mut taken = first.len();
        let mut frame = first;
        if queue
            .front()
            .is_some_and(|next| taken + next.len() <= FRAME_BYTES)
        {
            let mut joined = BytesMut::with_capacity(FRAME_BYTES.min(self.bytes.get()));
            joined.extend_from_slice(&frame);
            while let Some(next) = queue.pop_front_if(|next| taken + next.len() <= FRAME_BYTES) {
                taken += next.len();
                joined.extend_from_slice(&next);
            }
            frame = joined.freeze();
        }
        self.bytes.set(self.bytes.get() - taken);
        if text && frame.last() == Some(&b'\n') {
            frame.truncate(frame.len() - 1);
        }
        Some(frame)
    }

    /// Waits until there is something to write, or something did not fit.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Has [`Outbox::filled`] look again, if something waits: what was put in while somebody waited
    /// for [`Outbox::overflow`] has woken nobody else.
    pub(crate) fn remind(&self) {
        if self.bytes.get() > 0 {
            self.filled.notify_one();
        }
    }

    /// Waits until something did not fit.
    pub(crate) async fn overflow(&self) {
        while !self.overflowed.get() {
            self.filled.notified().await;
        }
    }

    /// Whether something did not fit.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed.get()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn line(bytes: usize) -> Bytes {
        let mut line = vec![b'x'; bytes - 1];
        line.push(b'\n');
        line.into()
    }

    #[test]
    fn what_waits_leaves_in_one_frame_without_the_last_line_break() {
        let outbox = Outbox::new(1_000);
        outbox.put(Bytes::from_static(b"{\"a\":1}\n"), false);
        outbox.put(Bytes::from_static(b"{}\n"), false);
        assert_eq!(outbox.frame(true).unwrap(), "{\"a\":1}\n{}");
        assert_eq!((outbox.frame(true), outbox.bytes()), (None, 0));
    }

    #[test]
    fn presence_is_dropped_before_an_event_cuts_the_reader() {
        let outbox = Outbox::new(1_000);
        assert_eq!(outbox.put(line(400), false), Put::Waits);
        assert_eq!(outbox.put(line(200), true), Put::Dropped);
        assert_eq!(outbox.put(line(500), false), Put::Waits);
        assert!(!outbox.has_overflowed());
        assert_eq!(outbox.put(line(200), false), Put::Overflow);
        assert!(outbox.has_overflowed());
    }

    #[tokio::test]
    async fn what_comes_while_something_is_written_is_not_forgotten() {
        let outbox = Outbox::new(1_000);
        outbox.put(line(10), false);
        outbox.filled().await;
        let mut overflow = Box::pin(outbox.overflow());
        assert!(outbox.frame(true).is_some());
        assert!(poll!(overflow.as_mut()).is_pending());
        // The socket takes nothing for a while.
        outbox.put(line(20), false);
        assert!(poll!(overflow.as_mut()).is_pending());
        drop(overflow);
        outbox.remind();
        assert!(poll!(Box::pin(outbox.filled())).is_ready());
        assert!(outbox.frame(true).is_some());
        outbox.remind();
        assert!(poll!(Box::pin(outbox.filled())).is_pending());
    }

    #[test]
    fn a_large_reply_fits_alone_and_frames_are_bounded() {
        let outbox = Outbox::new(100_000);
        assert_eq!(outbox.put(line(200_000), false), Put::Waits);
        assert_eq!(outbox.frame(false).unwrap().len(), 200_000);
        for _ in 0..3 {
            outbox.put(line(30_000), false);
        }
        assert_eq!(outbox.frame(false).unwrap().len(), 60_000);
        assert_eq!(outbox.frame(false).unwrap().len(), 30_000);
    }
}

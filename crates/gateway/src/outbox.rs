//! What waits for one connection: framed messages, bounded in bytes.
//!
//! What does not fit is sacrificed in this order: what is passing is dropped; events are left to
//! the log, from which the reader gets them when there is room; and what is owed always waits,
//! while nothing more is asked of a peer that does not take it.

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
    /// Whether the reader is behind in some room.
    behind: Cell<bool>,
    filled: Notify,
}

/// What a message is worth when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Answers, and what subscriptions become: nobody would say it again.
    Owed,
    /// An event of a room in which the reader is level. The log has it.
    Event,
    /// An event that was read from the log for a reader who is behind.
    Late,
    /// Presence and the like: soon not true any more.
    Passing,
}

/// What became of a message that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits.
    Waits,
    /// There was no room for it.
    Full,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        let (queue, bytes, behind) = (RefCell::default(), Cell::new(0), Cell::new(false));
        Self {
            queue,
            bytes,
            limit,
            behind,
            filled: Notify::new(),
        }
    }

    /// Puts in a framed message, if it is worth its room.
    pub(crate) fn put(&self, message: Bytes, worth: Worth) -> Put {
        if message.is_empty() {
            // It could not be said in the reader's encoding.
            return Put::Waits;
        }
        let bytes = self.bytes.get() + message.len();
        // Whoever is behind gets no more of what is new than what lets the rest have its turn.
        let most = match worth {
            Worth::Owed => usize::MAX,
            Worth::Event | Worth::Passing if self.behind.get() => self.low(),
            Worth::Event => self.limit,
            Worth::Late | Worth::Passing => self.limit / 2,
        };
        // One event alone always fits: it may be larger than the limit on what gathers.
        if bytes > most && (worth == Worth::Passing || self.bytes.get() > 0) {
            return Put::Full;
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

    /// Waits until there is something to write, or somebody has called.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Has [`Outbox::filled`] look again, if something waits.
    pub(crate) fn remind(&self) {
        if self.bytes.get() > 0 {
            self.filled.notify_one();
        }
    }

    /// Whether the reader is behind in some room.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.set(behind);
        if behind {
            // Nothing may wait, and then nothing else would have it read on.
            self.filled.notify_one();
        }
    }

    /// Whether there is room for what a reader who is behind has missed.
    pub(crate) fn is_low(&self) -> bool {
        self.bytes.get() <= self.low()
    }

    /// Whether what is owed alone is more than should wait: the peer is to take some of it before
    /// it asks for more.
    pub(crate) fn is_choked(&self) -> bool {
        self.bytes.get() > self.limit
    }

    fn low(&self) -> usize {
        self.limit / 4
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use proptest::prelude::*;

    use super::*;

    fn line(bytes: usize) -> Bytes {
        let mut line = vec![b'x'; bytes - 1];
        line.push(b'\n');
        line.into()
    }

    #[test]
    fn what_waits_leaves_in_one_frame_without_the_last_line_break() {
        let outbox = Outbox::new(1_000);
        outbox.put(Bytes::from_static(b"{\"a\":1}\n"), Worth::Owed);
        outbox.put(Bytes::from_static(b"{}\n"), Worth::Event);
        assert_eq!(outbox.frame(true).unwrap(), "{\"a\":1}\n{}");
        assert_eq!((outbox.frame(true), outbox.bytes()), (None, 0));
    }

    #[test]
    fn presence_goes_first_then_events_and_answers_never() {
        let outbox = Outbox::new(1_000);
        assert_eq!(outbox.put(line(400), Worth::Event), Put::Waits);
        assert_eq!(outbox.put(line(200), Worth::Passing), Put::Full);
        assert_eq!(outbox.put(line(500), Worth::Event), Put::Waits);
        assert_eq!(outbox.put(line(200), Worth::Event), Put::Full);
        assert!(!outbox.is_choked());
        assert_eq!(outbox.put(line(200), Worth::Owed), Put::Waits);
        assert!(outbox.is_choked(), "and no more is asked of the peer");
    }

    #[test]
    fn what_is_new_leaves_room_for_what_was_missed() {
        let outbox = Outbox::new(1_000);
        outbox.set_behind(true);
        assert_eq!(outbox.put(line(250), Worth::Event), Put::Waits);
        assert_eq!(outbox.put(line(10), Worth::Event), Put::Full);
        assert!(outbox.is_low());
        assert_eq!(outbox.put(line(250), Worth::Late), Put::Waits);
        assert_eq!(outbox.put(line(10), Worth::Late), Put::Full);
        assert!(!outbox.is_low());
        outbox.set_behind(false);
        assert_eq!(outbox.put(line(10), Worth::Event), Put::Waits);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_not_forgotten() {
        let outbox = Outbox::new(1_000);
        outbox.put(line(10), Worth::Event);
        outbox.filled().await;
        // The socket takes nothing for a while.
        assert!(poll!(Box::pin(outbox.filled())).is_pending());
        outbox.remind();
        assert!(poll!(Box::pin(outbox.filled())).is_ready());
        assert!(outbox.frame(true).is_some());
        outbox.remind();
        assert!(poll!(Box::pin(outbox.filled())).is_pending());
        outbox.set_behind(true);
        assert!(poll!(Box::pin(outbox.filled())).is_ready());
    }

    #[test]
    fn a_large_event_fits_alone_and_frames_are_bounded() {
        let outbox = Outbox::new(100_000);
        assert_eq!(outbox.put(line(200_000), Worth::Event), Put::Waits);
        assert_eq!(outbox.frame(false).unwrap().len(), 200_000);
        for _ in 0..3 {
            outbox.put(line(30_000), Worth::Event);
        }
        assert_eq!(outbox.frame(false).unwrap().len(), 60_000);
        assert_eq!(outbox.frame(false).unwrap().len(), 30_000);
    }

    proptest! {
        #[test]
        fn what_waits_is_bounded_but_for_what_is_owed(
            steps in proptest::collection::vec((0u8..6, 1usize..400), 0..200)
        ) {
            let outbox = Outbox::new(1_000);
            let mut owed = 0;
            for (step, size) in steps {
                let before = outbox.bytes();
                match step {
                    0 => drop(outbox.frame(false)),
                    1 => outbox.set_behind(size > 200),
                    2 => {
                        prop_assert_eq!(outbox.put(line(size), Worth::Owed), Put::Waits);
                        owed += size;
                    }
                    3 => drop(outbox.put(line(size), Worth::Event)),
                    4 => drop(outbox.put(line(size), Worth::Late)),
                    _ => drop(outbox.put(line(size), Worth::Passing)),
                }
                prop_assert!(outbox.bytes() <= 1_000 + owed || outbox.bytes() <= before);
            }
        }
    }
}

//! One room as the inlet sees it: who wants it, where it stands, what is held while it is looked
//! at. No input or output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chinwag_protocol::position::Position;

use crate::delivery::Delivery;
use crate::inlet::ShardEvent;
use crate::inlet::work::Read;
use crate::tail::{Step, Tail};

/// What is held of one room while it is looked at. What does not fit is read from the log later.
const HELD_EVENTS: usize = 1_024;

/// A room that somebody here wants, or wanted a moment ago.
pub(crate) struct Room {
    /// Which threads want it.
    wanted: Vec<bool>,
    /// Threads that are told when it is known where it stands.
    waiting: Vec<usize>,
    /// Where it stands; `None` until that was read.
    tail: Option<Tail>,
    /// Whether it is being looked at.
    busy: bool,
    held: Vec<Arc<Delivery>>,
    /// Something was dropped from `held`.
    overflowed: bool,
    last: Instant,
    unwanted_since: Option<Instant>,
}

/// What to do with a delivery.
pub(crate) enum Offered {
    /// It is the next one.
    Hand(Arc<Delivery>),
    /// It was there already.
    Duplicate,
    /// It waits until the room was looked at.
    Held,
    /// It waits, and the room must be looked at.
    Gap,
}

impl Room {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            wanted: vec![false; shards],
            waiting: Vec::new(),
            tail: None,
            busy: true,
            held: Vec::new(),
            overflowed: false,
            last: Instant::now(),
            unwanted_since: None,
        }
    }

    /// A thread wants the room: the position from which it gets everything, if it is known now.
    pub(crate) fn join(&mut self, shard: usize) -> Option<Position> {
        if let Some(wanted) = self.wanted.get_mut(shard) {
            *wanted = true;
        }
        self.unwanted_since = None;
        match &self.tail {
            Some(tail) if !self.busy => Some(tail.position()),
            _ => {
                self.waiting.push(shard);
                None
            }
        }
    }

    pub(crate) fn leave(&mut self, shard: usize) {
        if let Some(wanted) = self.wanted.get_mut(shard) {
            *wanted = false;
        }
        if !self.is_wanted() {
            self.unwanted_since = Some(Instant::now());
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.contains(&true)
    }

    pub(crate) fn is_unopened(&self) -> bool {
        self.tail.is_none()
    }

    pub(crate) fn unwanted_for(&self, now: Instant) -> Option<Duration> {
        self.unwanted_since
            .map(|since| now.saturating_duration_since(since))
    }

    /// The threads that want it.
    pub(crate) fn shards(&self) -> Vec<usize> {
        let wanted = self.wanted.iter().enumerate();
        wanted
            .filter(|(_, wanted)| **wanted)
            .map(|(shard, _)| shard)
            .collect()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.tail.as_ref().map(Tail::position)
    }

    /// Where it stands, if nothing came for a while and nobody looks at it.
    pub(crate) fn silent_at(&self, now: Instant, time: Duration) -> Option<Position> {
        let silent = now.saturating_duration_since(self.last) > time;
        if silent && !self.busy {
            self.position()
        } else {
            None
        }
    }

    /// It is known where the room stands, or that this cannot be known. The threads to tell.
    pub(crate) fn open(&mut self, position: Option<Position>) -> Vec<usize> {
        if self.tail.is_none() {
            self.tail = position.map(Tail::new);
        }
        self.busy = false;
        std::mem::take(&mut self.waiting)
    }

    pub(crate) fn offer(&mut self, delivery: Arc<Delivery>) -> Offered {
        self.last = Instant::now();
        let (Some(tail), Some(position)) = (&mut self.tail, delivery.position) else {
            return self.hold(delivery);
        };
        if self.busy {
            return self.hold(delivery);
        }
        match tail.offer(position) {
            Step::Next => Offered::Hand(delivery),
            Step::Duplicate => Offered::Duplicate,
            Step::Gap => {
                self.hold(delivery);
                Offered::Gap
            }
        }
    }

    fn hold(&mut self, delivery: Arc<Delivery>) -> Offered {
        if self.held.len() < HELD_EVENTS {
            self.held.push(delivery);
        } else {
            self.overflowed = true;
        }
        Offered::Held
    }

    /// Begins to look at the room, unless somebody does: the position to read from.
    pub(crate) fn begin_repair(&mut self) -> Option<Position> {
        if self.busy {
            self.overflowed = true;
            return None;
        }
        let position = self.position()?;
        self.busy = true;
        Some(position)
    }

    /// What looking at the room has brought: what to hand on, in order, and to whom it opens.
    pub(crate) fn repaired(
        &mut self,
        id: &chinwag_protocol::id::RoomId,
        read: Read,
    ) -> (Vec<ShardEvent>, Vec<usize>) {
        self.busy = false;
        let Some(tail) = &mut self.tail else {
            return (Vec::new(), Vec::new());
        };
        let mut handed = Vec::new();
        match read {
            Read::Missed { epoch, deliveries } => {
                let before = tail.position();
                if epoch > before.epoch {
                    tail.enter(epoch);
                    handed.push(ShardEvent::Epoch(id.clone(), tail.position()));
                }
                for delivery in deliveries {
                    let step = delivery.position.map(|position| tail.offer_read(position));
                    if step == Some(Step::Next) {
                        handed.push(ShardEvent::Delivery(delivery));
                    }
                }
            }
            Read::Rewound(position) => {
                *tail = Tail::new(position);
                handed.push(ShardEvent::Broken(id.clone()));
            }
            // Nothing is known. The next event or sweep will try again.
            Read::Failed => return (handed, Vec::new()),
        }
        (handed, std::mem::take(&mut self.waiting))
    }

    /// What was held. If some of it was dropped, the next of them shows a gap.
    pub(crate) fn take_held(&mut self) -> Vec<Arc<Delivery>> {
        if std::mem::take(&mut self.overflowed) {
            // Makes the next sweep look even if nothing else comes.
            self.last = Instant::now()
                .checked_sub(Duration::from_secs(3600))
                .unwrap_or(self.last);
        }
        std::mem::take(&mut self.held)
    }
}

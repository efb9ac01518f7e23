//! One room as the inlet sees it: who wants it, where it stands, what is held while it is looked
//! at. No input or output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;

use crate::delivery::Delivery;
use crate::inlet::ShardEvent;
use crate::inlet::work::Read;
use crate::tail::{Step, Tail};

/// What is held of one room while it is looked at. What does not fit is read from the log later.
const HELD_EVENTS: usize = 1_024;

/// How long looks at a room may fail before its readers are told that something is missing.
const PATIENCE: Duration = Duration::from_secs(20);

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
    /// Whether Redis is being told that nobody here listens to it. Who wants it meanwhile waits:
    /// a wish to hear that overtook this would leave everybody deaf.
    closing: bool,
    held: Vec<Arc<Delivery>>,
    /// Something was dropped from `held`, or somebody wanted it looked at while it was.
    again: bool,
    last: Instant,
    /// When it was compared with Redis.
    compared: Instant,
    /// Since when looks at it have failed.
    failing: Option<Instant>,
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
            closing: false,
            held: Vec::new(),
            again: false,
            last: Instant::now(),
            compared: Instant::now(),
            failing: None,
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

    /// Where it stands, if nothing came for a while, it was not compared with Redis for as long, and
    /// nobody looks at it. Counts as compared.
    pub(crate) fn silent_at(&mut self, now: Instant, time: Duration) -> Option<Position> {
        let silent = now.saturating_duration_since(self.last.max(self.compared)) > time;
        let position = self.position().filter(|_| silent && !self.busy)?;
        self.compared = now;
        Some(position)
    }

    /// It is known where the room stands, or that this cannot be known. The threads to tell.
    pub(crate) fn open(&mut self, position: Option<Position>) -> Vec<usize> {
        if self.closing || self.tail.is_some() {
            return Vec::new();
        }
        self.tail = position.map(Tail::new);
        self.busy = false;
        std::mem::take(&mut self.waiting)
    }

    /// Redis will be told that nobody here listens to it. From now on nothing is known of it.
    pub(crate) fn close(&mut self) {
        (self.busy, self.closing, self.tail) = (true, true, None);
        self.held.clear();
    }

    /// Redis was told. Whether somebody wants it again by now, and it must be opened.
    pub(crate) fn closed(&mut self) -> bool {
        self.closing = false;
        self.is_wanted()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
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
            self.again = true;
        }
        Offered::Held
    }

    /// Begins to look at the room, unless somebody does: the position to read from.
    pub(crate) fn begin_repair(&mut self) -> Option<Position> {
        if self.busy {
            self.again = true;
            return None;
        }
        let position = self.position()?;
        self.busy = true;
        Some(position)
    }

    /// What looking at the room has brought: what to hand on, in order, and who waited for that. A
    /// look that failed says nothing, and the threads that waited have it no longer.
    pub(crate) fn repaired(&mut self, id: &RoomId, read: Read) -> (Vec<ShardEvent>, Vec<usize>) {
        let Some(tail) = &mut self.tail else {
            return (Vec::new(), Vec::new());
        };
        self.busy = false;
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
            Read::Skipped(position) => {
                let before = tail.position();
                *tail = Tail::new(position);
                if position.epoch > before.epoch {
                    let before = Position::new(position.epoch, before.seq);
                    handed.push(ShardEvent::Epoch(id.clone(), before));
                }
                handed.push(ShardEvent::Skipped(id.clone(), position));
            }
            Read::Rewound(position) => {
                *tail = Tail::new(position);
                handed.push(ShardEvent::Broken(id.clone(), position));
            }
            Read::Failed => {
                self.again = true;
                let since = *self.failing.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    // Its readers must not take silence for peace.
                    self.failing = None;
                    handed.push(ShardEvent::Broken(id.clone(), tail.position()));
                }
                let waiting = std::mem::take(&mut self.waiting);
                waiting.iter().for_each(|shard| self.leave(*shard));
                return (handed, waiting);
            }
        }
        self.failing = None;
        (handed, std::mem::take(&mut self.waiting))
    }

    /// What was held, and whether the room must be looked at once more.
    pub(crate) fn take_held(&mut self) -> (Vec<Arc<Delivery>>, bool) {
        (
            std::mem::take(&mut self.held),
            std::mem::take(&mut self.again),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn opened(shards: &[usize]) -> Room {
        let mut room = Room::new(2);
        for shard in shards {
            assert_eq!(room.join(*shard), None);
        }
        assert_eq!(room.open(Some(at(7))), shards);
        room
    }

    #[test]
    fn who_wants_a_room_that_is_being_left_waits_until_it_is_opened_anew() {
        let mut room = opened(&[0]);
        room.leave(0);
        room.close();
        assert_eq!(room.join(1), None);
        assert_eq!(
            room.open(Some(at(7))),
            [0; 0],
            "an answer to an older question"
        );
        assert!(room.closed());
        assert_eq!(room.open(Some(at(9))), [1]);
        assert_eq!(room.position(), Some(at(9)));
    }

    #[test]
    fn a_late_failure_to_open_changes_nothing() {
        let mut room = opened(&[0]);
        assert_eq!(room.open(None), [0; 0]);
        assert_eq!(room.position(), Some(at(7)));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_look_that_failed() {
        let id = RoomId::new("lobby").unwrap();
        let mut room = opened(&[0]);
        assert_eq!(room.begin_repair(), Some(at(7)));
        assert_eq!(room.join(1), None);
        let (handed, waiting) = room.repaired(&id, Read::Failed);
        assert!(handed.is_empty());
        assert_eq!(waiting, [1]);
        assert_eq!(room.shards(), [0]);
        assert!(room.take_held().1, "and it is looked at once more");
        assert_eq!(room.join(1), Some(at(7)));
    }

    #[test]
    fn who_asks_for_a_look_while_one_is_under_way_gets_another() {
        let id = RoomId::new("lobby").unwrap();
        let mut room = opened(&[0]);
        assert!(room.begin_repair().is_some());
        assert!(room.begin_repair().is_none());
        let (epoch, deliveries) = (1, Vec::new());
        room.repaired(&id, Read::Missed { epoch, deliveries });
        assert!(room.take_held().1);
        assert!(room.begin_repair().is_some());
    }
}

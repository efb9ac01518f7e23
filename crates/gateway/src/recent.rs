//! The recent events of rooms that are listened to here, shared by all threads: whoever comes back
//! within them needs no Redis, nor does a reader who is a little behind.
//!
//! A room's window is dense, and ends where the inlet, or a read of the log, has seen the room stand.
//! Who asks says where the room stands at least, so a window that was left behind gives no answer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;

use crate::batcher::count;
use crate::delivery::Delivery;

/// Events of one room.
const EVENTS: usize = 64;
/// Bytes of one room's.
const ROOM_BYTES: usize = 256 * 1024;

/// Windows of rooms, bounded in bytes over all of them: the rooms that were silent and not asked
/// for while the others had their turn go first.
#[derive(Debug)]
pub(crate) struct Recent {
    windows: Mutex<Windows>,
    most: usize,
}

#[derive(Debug, Default)]
struct Windows {
    rooms: HashMap<RoomId, Window>,
    /// Whose turn it is to go. May name some that have gone.
    turns: VecDeque<RoomId>,
    bytes: usize,
}

#[derive(Debug)]
struct Window {
    events: VecDeque<Arc<Delivery>>,
    /// Where it ends, in the epoch that is current.
    top: Position,
    bytes: usize,
    /// Since its last turn.
    used: bool,
}

impl Recent {
    /// No windows yet; of at most so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            windows: Mutex::default(),
            most,
        }
    }

    /// The next event of a room is handed out.
    pub(crate) fn heard(&self, delivery: &Arc<Delivery>) {
        let Some(position) = delivery.position else {
            return;
        };
        let mut windows = self.lock();
        if let Some(window) = windows.rooms.get_mut(&delivery.room) {
            if position.seq <= window.top.seq && position.epoch <= window.top.epoch {
                return;
            }
            if position.seq == window.top.seq + 1 && position.epoch == window.top.epoch {
                let change = window.push(delivery, position);
                windows.grow(change, self.most);
                return;
            }
        }
        windows.begin(&delivery.room, vec![Arc::clone(delivery)].into(), position);
        windows.shrink(self.most);
    }

    /// A read of the log has brought these events, the last of which was the room's last.
    pub(crate) fn learn(&self, room: &RoomId, events: &[Arc<Delivery>], top: Position) {
        let events = events.get(events.len().saturating_sub(EVENTS)..);
        let mut events: VecDeque<_> = events.unwrap_or_default().iter().cloned().collect();
        if events.is_empty() {
            return;
        }
        let mut end = top;
        let mut windows = self.lock();
        if let Some(window) = windows.rooms.get(room) {
            if window.top.epoch != top.epoch || window.top.seq < top.seq {
                // What it has is older, or of another time.
            } else if window.first() <= top.seq + 1 {
                let later = window.events.iter();
                let later = later.filter(|one| one.position.is_some_and(|at| at.seq > top.seq));
                events.extend(later.cloned());
                end = window.top;
            } else {
                return;
            }
        }
        windows.begin(room, events, end);
        windows.shrink(self.most);
    }

    /// The room's log has begun an epoch, in which all is true up to a position.
    pub(crate) fn enter(&self, room: &RoomId, position: Position) {
        let mut windows = self.lock();
        match windows.rooms.get_mut(room) {
            Some(window) if window.top.seq == position.seq => window.top.epoch = position.epoch,
            _ => windows.forget(room),
        }
    }

    /// What is known of a room is no longer true, or will not be told any more.
    pub(crate) fn forget(&self, room: &RoomId) {
        self.lock().forget(room);
    }

    /// The first events after a position, at most so many, and where the room stands, if that is
    /// at least at `known` and nothing is older than `age`.
    pub(crate) fn after(
        &self,
        room: &RoomId,
        since: Position,
        most: usize,
        known: Position,
        age: Option<Duration>,
    ) -> Option<(Position, Vec<Arc<Delivery>>)> {
        let mut windows = self.lock();
        let window = windows.rooms.get_mut(room)?;
        let same = since.epoch == 0 || since.epoch == window.top.epoch;
        let reaches = window.first() <= since.seq + 1 && since.seq <= window.top.seq;
        let ahead = window.top.seq >= known.seq && window.top.epoch >= known.epoch;
        let last = window.events.back().map(|last| last.heard.elapsed());
        let fresh = age.is_none_or(|age| last.is_some_and(|last| last < age));
        if !(same && reaches && ahead && fresh) {
            return None;
        }
        window.used = true;
        let skip = usize::try_from(since.seq + 1 - window.first()).ok()?;
        let events = window.events.iter().skip(skip).take(most).cloned();
        Some((window.top, events.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows how much is kept.
    pub(crate) fn sample(&self) {
        metrics::gauge!("chinwag_gateway_recent_bytes").set(count(self.lock().bytes));
    }
}

impl Windows {
    fn begin(&mut self, room: &RoomId, events: VecDeque<Arc<Delivery>>, top: Position) {
        let before = self.rooms.remove(room);
        let known = before.is_some();
        self.bytes -= before.map_or(0, |before| before.bytes);
        let mut window = Window {
            bytes: events.iter().map(|event| event.weight()).sum(),
            events,
            top,
            used: true,
        };
        window.cut();
        self.bytes += window.bytes;
        self.rooms.insert(room.clone(), window);
        if known {
            return;
        }
        if self.turns.len() > 2 * self.rooms.len() + EVENTS {
            self.turns = self.rooms.keys().cloned().collect();
        } else {
            self.turns.push_back(room.clone());
        }
    }

    fn forget(&mut self, room: &RoomId) {
        let window = self.rooms.remove(room);
        self.bytes -= window.map_or(0, |window| window.bytes);
    }

    fn grow(&mut self, change: (usize, usize), most: usize) {
        self.bytes = self.bytes + change.0 - change.1;
        self.shrink(most);
    }

    fn shrink(&mut self, most: usize) {
        while self.bytes > most {
            let Some(room) = self.turns.pop_front() else {
                return;
            };
            match self.rooms.get_mut(&room) {
                Some(window) if window.used => {
                    window.used = false;
                    self.turns.push_back(room);
                }
                _ => self.forget(&room),
            }
        }
    }
}

impl Window {
    /// Bytes that came, and bytes that went for them.
    fn push(&mut self, delivery: &Arc<Delivery>, position: Position) -> (usize, usize) {
        let before = self.bytes;
        let weight = delivery.weight();
        self.events.push_back(Arc::clone(delivery));
        self.top = position;
        self.bytes += weight;
        self.used = true;
        self.cut();
        (weight, before + weight - self.bytes)
    }

    fn cut(&mut self) {
        while self.events.len() > EVENTS || self.bytes > ROOM_BYTES {
            let Some(gone) = self.events.pop_front() else {
                return;
            };
            self.bytes -= gone.weight();
        }
    }

    /// The sequence of its first event; or of the next, if it has none.
    fn first(&self) -> u64 {
        let first = self.events.front().and_then(|first| first.position);
        first.map_or(self.top.seq + 1, |first| first.seq)
    }
}

#[cfg(test)]
mod tests;

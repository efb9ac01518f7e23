//! What is remembered of the rooms of one partition: who is in them, and when they last moved in
//! their members' lists. Pure, and bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chinwag_protocol::id::{RoomId, UserId};
use lru::LruCache;

use crate::config::Config;
use crate::recipients::Became;

/// How often rooms move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub interval: Duration,
    pub large_interval: Duration,
    pub large: usize,
}

/// The rooms of a partition. Those that were quiet longest are forgotten first.
pub(crate) struct Rooms {
    pace: Pace,
    /// Most members of all rooms together, but for the room that spoke last.
    budget: usize,
    members: usize,
    rooms: LruCache<RoomId, Room>,
    /// Rooms with a move put off, by when it is due.
    due: BTreeSet<(Instant, RoomId)>,
    /// Moves that were put off for rooms that are forgotten. They are due at once, so there are
    /// more than a batch has rooms only while Redis is away.
    forgotten: Vec<Move>,
    /// Rooms of which a move was put off, of which nobody was told yet, and to what times.
    fresh: Vec<(RoomId, u64)>,
    /// Moves that the worker before has put off, and their times at least.
    inherited: BTreeMap<RoomId, u64>,
}

struct Room {
    members: BTreeSet<UserId>,
    /// When it moved last.
    moved: Option<Instant>,
    /// A move that was put off: when it is due, and to what time.
    waits: Option<(Instant, u64)>,
}

/// A move in the lists of a room's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub room: RoomId,
    pub members: Vec<UserId>,
    /// To where, in milliseconds since 1970.
    pub time: u64,
    /// Whether it was put off.
    pub was_put_off: bool,
}

impl Rooms {
    pub fn new(config: &Config, budget: usize) -> Self {
        Self {
            pace: Pace {
                interval: config.activity_interval,
                large_interval: config.large_room_interval,
                large: config.large_room,
            },
            budget,
            members: 0,
            rooms: LruCache::unbounded(),
            due: BTreeSet::new(),
            forgotten: Vec::new(),
            fresh: Vec::new(),
            inherited: BTreeMap::new(),
        }
    }

    /// Takes over what the worker before has put off.
    pub fn inherit(&mut self, moves: Vec<(RoomId, u64)>) {
        self.inherited.extend(moves);
    }

    /// Some of what the worker before has put off, and this one has not.
    pub fn inherited(&self, most: usize) -> Vec<(RoomId, u64)> {
        let some = self.inherited.iter().take(most);
        some.map(|(room, time)| (room.clone(), *time)).collect()
    }

    /// Moves that were put off since [`Rooms::noted`], and their times.
    pub fn fresh(&self) -> &[(RoomId, u64)] {
        &self.fresh
    }

    /// What was put off so far is known to whoever comes after this worker.
    pub fn noted(&mut self) {
        self.fresh.clear();
    }

    /// How many members are remembered.
    pub fn weight(&self) -> usize {
        self.members
    }

    pub fn knows(&self, room: &RoomId) -> bool {
        self.rooms.contains(room)
    }

    /// Remembers who is in a room, and forgets others for it.
    pub fn learn(&mut self, room: &RoomId, members: impl IntoIterator<Item = UserId>) {
        self.forget(room);
        let learnt = Room {
            members: members.into_iter().collect(),
            moved: None,
            waits: None,
        };
        self.members += learnt.weight();
        self.rooms.put(room.clone(), learnt);
        while self.members > self.budget && self.rooms.len() > 1 {
            let oldest = self.rooms.peek_lru().map(|(room, _)| room.clone());
            oldest.iter().for_each(|oldest| self.forget(oldest));
        }
    }

    fn forget(&mut self, name: &RoomId) {
        let Some(room) = self.rooms.pop(name) else {
            return;
        };
        self.members -= room.weight();
        if let Some((due, time)) = room.waits {
            self.due.remove(&(due, name.clone()));
            self.forgotten.push(room.moving(name, time));
        }
    }

    /// Somebody came or went. What is not remembered need not be changed.
    pub fn change(&mut self, room: &RoomId, members: &BTreeMap<UserId, Became>) {
        let Some(room) = self.rooms.peek_mut(room) else {
            return;
        };
        self.members -= room.weight();
        for (user, became) in members {
            match became {
                Became::Member { .. } => drop(room.members.insert(user.clone())),
                Became::Gone => drop(room.members.remove(user)),
            }
        }
        self.members += room.weight();
    }

    /// Something was said in a room that is remembered: the move to make now, if its pace allows;
    /// else it is put off.
    pub fn spoken(&mut self, name: &RoomId, time: u64, now: Instant) -> Option<Move> {
        let pace = self.pace;
        let room = self.rooms.get_mut(name)?;
        let interval = room.interval(pace);
        if let Some((due, to)) = &mut room.waits {
            *to = time.max(*to);
            if *due > now {
                return None;
            }
        } else if let Some(due) = room.moved.map(|moved| moved + interval)
            && due > now
        {
            room.waits = Some((due, time));
            self.due.insert((due, name.clone()));
            self.fresh.push((name.clone(), time));
            return None;
        }
        let to = room.waits.map_or(time, |(_, to)| to);
        Some(room.moving(name, to))
    }

    /// The moves that were put off and are due now; all of them, without a time.
    pub fn due(&self, now: Option<Instant>) -> Vec<Move> {
        let due = self.due.iter();
        let due = due.take_while(|(due, _)| now.is_none_or(|now| *due <= now));
        let due = due.filter_map(|(_, name)| {
            let room = self.rooms.peek(name)?;
            let (_, time) = room.waits?;
            Some(room.moving(name, time))
        });
        self.forgotten.iter().cloned().chain(due).collect()
    }

    /// A move was made: the next one waits its time.
    pub fn moved(&mut self, made: &Move, now: Instant) {
        let is_other = |other: &Move| other.room != made.room || other.time > made.time;
        self.forgotten.retain(is_other);
        self.inherited.remove(&made.room);
        let Some(room) = self.rooms.peek_mut(&made.room) else {
            return;
        };
        room.moved = Some(now);
        if let Some((due, _)) = room.waits.take_if(|(_, time)| *time <= made.time) {
            self.due.remove(&(due, made.room.clone()));
        }
    }
}

impl Room {
    /// An empty room is not free.
    fn weight(&self) -> usize {
        self.members.len() + 1
    }

    fn interval(&self, pace: Pace) -> Duration {
        if self.members.len() > pace.large {
            pace.large_interval
        } else {
            pace.interval
        }
    }

    fn moving(&self, name: &RoomId, time: u64) -> Move {
        Move {
            room: name.clone(),
            members: self.members.iter().cloned().collect(),
            time,
            was_put_off: self.waits.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;

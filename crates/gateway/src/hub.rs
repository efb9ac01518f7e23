//! Who listens to what, on one thread: rooms, and the connections subscribed to them.

mod subscriber;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::position::Position;
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::hub::subscriber::{Stage, Subscriber, continued};

/// The rooms of one thread. Nothing in it waits.
#[derive(Default)]
pub(crate) struct Hub {
    rooms: RefCell<HashMap<RoomId, Room>>,
}

#[derive(Default)]
struct Room {
    /// Up to where all live subscribers have everything; `None` until the inlet says.
    position: Option<Position>,
    subscribers: HashMap<u64, Subscriber>,
    waiting: Vec<oneshot::Sender<Option<Position>>>,
    /// Dropped when the room stands in another epoch. One for each who reads what was missed.
    turning: Vec<oneshot::Sender<()>>,
    /// Up to where the archive has it, as far as was heard.
    archived: Option<Position>,
}

/// Somebody who wants a room.
pub(crate) struct Entry {
    /// Where the room stands, when that is known. `None` in it: the room cannot be had now.
    pub opened: oneshot::Receiver<Option<Position>>,
    /// Whether the inlet has to be asked for it.
    pub wish: bool,
}

/// What happened while delivering.
#[derive(Default)]
pub(crate) struct Delivered {
    /// To how many it went.
    pub count: usize,
    /// Bytes of it, over all of them.
    pub bytes: usize,
}

/// Somebody in a room, and up to where they have everything.
pub(crate) struct Reader {
    pub connection: Rc<Connection>,
    /// `None` while the subscription begins.
    pub last: Option<u64>,
}

impl Hub {
    /// Holds a place in a room for a connection: from now on nothing of the room passes it by.
    pub(crate) fn enter(
        &self,
        room: &RoomId,
        connection: &Rc<Connection>,
        wants_comings: bool,
    ) -> Entry {
        let mut rooms = self.rooms.borrow_mut();
        let wish = !rooms.contains_key(room);
        let room = rooms.entry(room.clone()).or_default();
        let stage = Stage::Starting(Vec::new());
        let subscriber = Subscriber {
            connection: Rc::clone(connection),
            wants_comings,
            stage,
        };
        room.subscribers.insert(connection.number, subscriber);
        let (sender, opened) = oneshot::channel();
        match room.position {
            Some(position) => drop(sender.send(Some(position))),
            None => room.waiting.push(sender),
        }
        Entry { opened, wish }
    }

    /// The inlet says where a room stands, or that it cannot be had. Whoever is live in it and lacks
    /// something before that position reads on: the room was left and wanted again meanwhile. If
    /// the room cannot be had, returns those who were answered: they hear nothing any more.
    pub(crate) fn opened(&self, room: &RoomId, position: Option<Position>) -> Vec<Rc<Connection>> {
        let mut rooms = self.rooms.borrow_mut();
        let Some(entry) = rooms.get_mut(room) else {
            return Vec::new();
        };
        let mut deaf = Vec::new();
        if let Some(position) = position {
            entry.catch_up(room, position);
            entry.stands_at(position);
        } else {
            let answered = entry
                .subscribers
                .values()
                .filter(|one| one.last().is_some());
            deaf.extend(answered.map(|one| Rc::clone(&one.connection)));
        }
        let waiting = std::mem::take(&mut entry.waiting);
        if position.is_none() {
            rooms.remove(room);
        }
        for waiting in waiting {
            // Whoever no longer waits needs no answer.
            let _gone = waiting.send(position);
        }
        deaf
    }

    /// A connection has read what it missed up to `read` (or wants nothing of the past): it is
    /// live from now on. The position up to which it has everything, and what came while it read.
    /// `None` if it has lost its place, or has read in another epoch than is heard here.
    pub(crate) fn start(
        &self,
        room: &RoomId,
        connection: u64,
        read: Option<Position>,
    ) -> Option<(Position, Vec<Arc<Delivery>>)> {
        let mut rooms = self.rooms.borrow_mut();
        let entry = rooms.get_mut(room)?;
        let now = entry.position?;
        if read.is_some_and(|read| read.epoch != now.epoch) {
            return None;
        }
        let subscriber = entry.subscribers.get_mut(&connection)?;
        let Stage::Starting(waiting) = &mut subscriber.stage else {
            return None;
        };
        let waiting = std::mem::take(waiting);
        let read = read.unwrap_or(now);
        let (last, later) = continued(read, waiting);
        subscriber.stage = Stage::Live(last);
        if last < now.seq {
            // More came than could wait, or was missed than has room in an answer.
            subscriber.fall(room, Position::new(read.epoch, last));
        }
        Some((read, later))
    }

    /// Where a room stands.
    pub(crate) fn position(&self, room: &RoomId) -> Option<Position> {
        self.rooms.borrow().get(room)?.position
    }

    /// Ends when a room stands in another epoch than now, or is left. `None` if it is not there.
    pub(crate) fn turned(&self, room: &RoomId) -> Option<oneshot::Receiver<()>> {
        let mut rooms = self.rooms.borrow_mut();
        let entry = rooms.get_mut(room)?;
        let (sender, turned) = oneshot::channel();
        entry.turning.retain(|one| !one.is_closed());
        entry.turning.push(sender);
        Some(turned)
    }

    /// Whether it was heard how far a room is archived.
    pub(crate) fn has_mark(&self, room: &RoomId) -> bool {
        let rooms = self.rooms.borrow();
        rooms.get(room).is_some_and(|room| room.archived.is_some())
    }

    /// How far a room is archived, as those are told who asked for it; `None` if that is not known.
    pub(crate) fn mark(&self, room: &RoomId) -> Option<Arc<Delivery>> {
        let archived = self.rooms.borrow().get(room)?.archived?;
        Some(Arc::new(Delivery::mark(room.clone(), archived)))
    }

    /// A room is archived up to a position: tells those who asked for marks.
    pub(crate) fn archived(&self, room: &RoomId, position: Position) {
        let mut rooms = self.rooms.borrow_mut();
        let Some(entry) = rooms.get_mut(room) else {
            return;
        };
        let place = |at: Position| (at.epoch, at.seq);
        if entry
            .archived
            .is_some_and(|before| place(before) >= place(position))
        {
            return;
        }
        entry.archived = Some(position);
        let mut mark = None;
        for subscriber in entry.subscribers.values_mut() {
            if subscriber.wants_marks() {
                let mark =
                    mark.get_or_insert_with(|| Arc::new(Delivery::mark(room.clone(), position)));
                subscriber.take(mark, position.epoch, &mut Delivered::default());
            }
        }
    }

    /// There was no room for what came after a position: its connection reads on from there.
    pub(crate) fn fall_behind(&self, room: &RoomId, connection: u64, at: Position) {
        let mut rooms = self.rooms.borrow_mut();
        let subscriber = rooms
            .get_mut(room)
            .and_then(|entry| entry.subscribers.get_mut(&connection));
        if let Some(subscriber) = subscriber.filter(|one| matches!(one.stage, Stage::Live(_))) {
            subscriber.fall(room, at);
        }
    }

    /// A connection that is behind in a room reads on: from where. What comes from now on waits
    /// for it. `None` if it is not behind there.
    pub(crate) fn read_on(&self, room: &RoomId, connection: u64) -> Option<Position> {
        let mut rooms = self.rooms.borrow_mut();
        let subscriber = rooms.get_mut(room)?.subscribers.get_mut(&connection)?;
        let Stage::Behind(at) = subscriber.stage else {
            return None;
        };
        subscriber.stage = Stage::Reading(at, Vec::new());
        Some(at)
    }

    /// Whether a connection still reads what [`Hub::read_on`] began.
    pub(crate) fn is_reading(&self, room: &RoomId, connection: u64) -> bool {
        let rooms = self.rooms.borrow();
        let subscriber = rooms
            .get(room)
            .and_then(|entry| entry.subscribers.get(&connection));
        subscriber.is_some_and(|one| matches!(one.stage, Stage::Reading(..)))
    }

    /// It has taken what it read, up to `read`, and that was not all there is.
    pub(crate) fn pause(&self, room: &RoomId, connection: u64, read: Position) {
        let mut rooms = self.rooms.borrow_mut();
        let subscriber = rooms
            .get_mut(room)
            .and_then(|entry| entry.subscribers.get_mut(&connection));
        if let Some(subscriber) = subscriber.filter(|one| matches!(one.stage, Stage::Reading(..))) {
            subscriber.stage = Stage::Behind(read);
        }
    }

    /// It has taken what it read, up to `read`, and that was all there was: it is live, and gets
    /// what came meanwhile. `false` if that does not fit, or something is missing between the two:
    /// it is behind still.
    pub(crate) fn level(
        &self,
        room: &RoomId,
        connection: u64,
        read: Position,
        delivered: &mut Delivered,
    ) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        let Some(entry) = rooms.get_mut(room) else {
            return false;
        };
        let Some(subscriber) = entry.subscribers.get_mut(&connection) else {
            return false;
        };
        let Stage::Reading(_, waiting) = &mut subscriber.stage else {
            return false;
        };
        let waiting = std::mem::take(waiting);
        let top = entry.position.map_or(0, |position| position.seq);
        let level = subscriber.level(read, waiting, top, delivered);
        if let Some(archived) = entry.archived.filter(|_| level && subscriber.wants_marks()) {
            // Those that passed meanwhile are all in the last one.
            let mark = Arc::new(Delivery::mark(room.clone(), archived));
            subscriber.take(&mark, archived.epoch, delivered);
        }
        level
    }

    /// A connection leaves a room. `true` if nobody is left in it.
    pub(crate) fn leave(&self, room: &RoomId, connection: u64) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        let Some(entry) = rooms.get_mut(room) else {
            return false;
        };
        entry.subscribers.remove(&connection);
        let empty = entry.subscribers.is_empty();
        if empty {
            rooms.remove(room);
        }
        empty
    }

    /// Gives a delivery to all who are to have it.
    pub(crate) fn deliver(&self, delivery: &Arc<Delivery>) -> Delivered {
        let mut delivered = Delivered::default();
        let mut rooms = self.rooms.borrow_mut();
        let Some(room) = rooms.get_mut(&delivery.room) else {
            return delivered;
        };
        let epoch = room.position.map_or(0, |position| position.epoch);
        if let Some(at) = delivery.position {
            // What was read after an epoch began may be of the one before.
            room.stands_at(Position::new(at.epoch.max(epoch), at.seq));
        }
        for subscriber in room.subscribers.values_mut() {
            subscriber.take(delivery, epoch, &mut delivered);
        }
        delivered
    }

    /// A room stands elsewhere than the last event says: its log has begun an epoch, or what came
    /// meanwhile cannot be had.
    pub(crate) fn moved(&self, room: &RoomId, position: Position) {
        if let Some(entry) = self.rooms.borrow_mut().get_mut(room) {
            entry.stands_at(position);
            for subscriber in entry.subscribers.values_mut() {
                subscriber.enter(position.epoch);
            }
        }
    }

    /// More came in a room than is handed out: its readers read on from the log.
    pub(crate) fn skipped(&self, room: &RoomId, position: Position) {
        if let Some(entry) = self.rooms.borrow_mut().get_mut(room) {
            entry.catch_up(room, position);
            entry.stands_at(position);
        }
    }

    /// Who is in a room, and how far.
    pub(crate) fn readers(&self, room: &RoomId) -> Vec<Reader> {
        let rooms = self.rooms.borrow();
        let all = rooms.get(room).into_iter();
        all.flat_map(|entry| entry.subscribers.values())
            .map(|subscriber| Reader {
                connection: Rc::clone(&subscriber.connection),
                last: subscriber.last(),
            })
            .collect()
    }

    /// The connections that are live in a room, of one user or of all.
    pub(crate) fn subscribers(&self, room: &RoomId, user: Option<&UserId>) -> Vec<Rc<Connection>> {
        let rooms = self.rooms.borrow();
        let Some(room) = rooms.get(room) else {
            return Vec::new();
        };
        let all = room
            .subscribers
            .values()
            .map(|subscriber| &subscriber.connection);
        all.filter(|connection| user.is_none() || connection.user().as_ref() == user)
            .map(Rc::clone)
            .collect()
    }

    /// How many subscriptions there are.
    pub(crate) fn subscriptions(&self) -> usize {
        self.rooms
            .borrow()
            .values()
            .map(|room| room.subscribers.len())
            .sum()
    }
}

impl Room {
    fn stands_at(&mut self, position: Position) {
        if self.position.map(|before| before.epoch) != Some(position.epoch) {
            self.turning.clear();
        }
        self.position = Some(position);
    }

    /// Has whoever is live and lacks something up to a position read on.
    fn catch_up(&mut self, room: &RoomId, position: Position) {
        let epoch = self.position.map_or(position.epoch, |before| before.epoch);
        for subscriber in self.subscribers.values_mut() {
            if let Stage::Live(last) = subscriber.stage
                && last < position.seq
            {
                subscriber.fall(room, Position::new(epoch, last));
            }
        }
    }
}

#[cfg(test)]
mod tests;

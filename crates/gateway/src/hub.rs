//! Who listens to what, on one thread: rooms, and the connections subscribed to them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::position::Position;
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::delivery::{Class, Delivery};
use crate::outbox::Put;

/// Most that waits for one subscriber who reads what it has missed. What does not fit is a hole
/// that the next event shows.
const WAITING_MOST: usize = 4_096;

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
}

struct Subscriber {
    connection: Rc<Connection>,
    wants_comings: bool,
    stage: Stage,
}

enum Stage {
    /// It is read what it has missed; what comes meanwhile waits here.
    Starting(Vec<Arc<Delivery>>),
    /// It has everything up to this sequence.
    Live(u64),
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
    /// To whom it did not go although it should have: something before it is missing.
    pub broken: Vec<Rc<Connection>>,
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

    /// The inlet says where a room stands, or that it cannot be had. Returns those who are live in
    /// it and lack something before that position: the room was left and wanted again meanwhile.
    pub(crate) fn opened(&self, room: &RoomId, position: Option<Position>) -> Vec<Rc<Connection>> {
        let mut rooms = self.rooms.borrow_mut();
        let Some(entry) = rooms.get_mut(room) else {
            return Vec::new();
        };
        let seq = position.map_or(u64::MAX, |position| position.seq);
        let lacking = entry
            .subscribers
            .values()
            .filter(|subscriber| matches!(subscriber.stage, Stage::Live(last) if last < seq));
        let lacking = lacking
            .map(|subscriber| Rc::clone(&subscriber.connection))
            .collect();
        if position.is_some() {
            entry.position = position;
        }
        let waiting = std::mem::take(&mut entry.waiting);
        if position.is_none() {
            rooms.remove(room);
        }
        for waiting in waiting {
            // Whoever no longer waits needs no answer.
            let _gone = waiting.send(position);
        }
        lacking
    }

    /// A connection has read what it missed up to `read` (or wants nothing of the past): it is
    /// live from now on. The position up to which it has everything, and what came while it read.
    /// `None` if it has lost its place.
    pub(crate) fn start(
        &self,
        room: &RoomId,
        connection: u64,
        read: Option<Position>,
    ) -> Option<(Position, Vec<Arc<Delivery>>)> {
        let mut rooms = self.rooms.borrow_mut();
        let room = rooms.get_mut(room)?;
        let now = room.position?;
        let subscriber = room.subscribers.get_mut(&connection)?;
        let Stage::Starting(waiting) = &mut subscriber.stage else {
            return None;
        };
        let waiting = std::mem::take(waiting);
        let read = read.unwrap_or(now);
        let (last, later) = continued(read, waiting)?;
        if read.epoch == now.epoch && last < now.seq {
            // More came than could wait.
            return None;
        }
        subscriber.stage = Stage::Live(last);
        Some((read, later))
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
        if delivery.position.is_some() {
            room.position = delivery.position;
        }
        for subscriber in room.subscribers.values_mut() {
            subscriber.take(delivery, &mut delivered);
        }
        delivered
    }

    /// A room stands elsewhere than the last event says: its log has begun an epoch, or what came
    /// meanwhile cannot be had.
    pub(crate) fn moved(&self, room: &RoomId, position: Position) {
        if let Some(room) = self.rooms.borrow_mut().get_mut(room) {
            room.position = Some(position);
        }
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

impl Subscriber {
    fn take(&mut self, delivery: &Arc<Delivery>, delivered: &mut Delivered) {
        match (&mut self.stage, delivery.position) {
            (Stage::Starting(waiting), _) if waiting.len() >= WAITING_MOST => {}
            (Stage::Starting(waiting), Some(_)) => waiting.push(Arc::clone(delivery)),
            (Stage::Starting(waiting), None) => {
                // Its own join among them: who asks for joins hears that, too.
                if delivery.class == Class::Coming && self.wants_comings {
                    waiting.push(Arc::clone(delivery));
                }
            }
            (Stage::Live(last), Some(position)) => {
                if position.seq <= *last {
                    return;
                }
                if position.seq != *last + 1 {
                    delivered.broken.push(Rc::clone(&self.connection));
                    return;
                }
                *last = position.seq;
                self.hand(delivery, delivered);
            }
            (Stage::Live(_), None) => {
                if delivery.class != Class::Coming || self.wants_comings {
                    self.hand(delivery, delivered);
                }
            }
        }
    }

    fn hand(&self, delivery: &Delivery, delivered: &mut Delivered) {
        let bytes = delivery.bytes(self.connection.encoding);
        let length = bytes.len();
        match self
            .connection
            .outbox
            .put(bytes, delivery.class != Class::Event)
        {
            Put::Waits => {
                delivered.count += 1;
                delivered.bytes += length;
            }
            Put::Dropped => {
                metrics::counter!("chinwag_gateway_outbox_dropped_total", "class" => "ephemeral")
                    .increment(1);
            }
            // The connection closes by itself; the reader comes back for the rest.
            Put::Overflow => {}
        }
    }
}

/// Of what waited, what comes after the position that was read, and the last sequence of it all;
/// `None` if there is a hole.
fn continued(read: Position, waiting: Vec<Arc<Delivery>>) -> Option<(u64, Vec<Arc<Delivery>>)> {
    let mut last = read.seq;
    let mut later = Vec::new();
    for delivery in waiting {
        match delivery.position.map(|position| position.seq) {
            None => later.push(delivery),
            Some(seq) if seq > last + 1 => return None,
            Some(seq) if seq == last + 1 => {
                last = seq;
                later.push(delivery);
            }
            Some(_) => {}
        }
    }
    Some((last, later))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use chinwag_protocol::event::{Content, Event, Kind};
    use chinwag_protocol::json::Json;
    use proptest::prelude::*;

    use super::*;

    fn delivery(seq: u64) -> Arc<Delivery> {
        let content = Content::Publication {
            data: Json::of(&seq),
        };
        let event = Event {
            seq,
            epoch: 1,
            time: 0,
            messages: 0,
            sender: None,
            client: None,
            id: None,
            content,
        };
        let room = RoomId::new("lobby").unwrap();
        Arc::new(Delivery::event(room, Kind::Channel, &event, Instant::now()))
    }

    #[test]
    fn what_has_no_position_keeps_its_place() {
        let room = RoomId::new("lobby").unwrap();
        let joined = Arc::new(Delivery::data(room, &Json::of(&"joined")));
        let waiting = vec![delivery(2), Arc::clone(&joined), delivery(3), joined];
        let (last, later) = continued(Position::new(1, 1), waiting).unwrap();
        let places: Vec<_> = later
            .iter()
            .map(|one| one.position.map(|at| at.seq))
            .collect();
        assert_eq!((last, places), (3, vec![Some(2), None, Some(3), None]));
    }

    #[test]
    fn a_subscriber_who_reads_for_too_long_reads_again() {
        let (hub, room) = (Hub::default(), RoomId::new("lobby").unwrap());
        let client = chinwag_protocol::id::ClientId::new("c").unwrap();
        let encoding = chinwag_protocol::codec::Encoding::Json;
        let connection = Connection::new(1, client, encoding, 1_000_000);
        let most = u64::try_from(WAITING_MOST).unwrap();
        let start = |events: u64| {
            drop(hub.enter(&room, &connection, false));
            hub.opened(&room, Some(Position::new(1, 0)));
            (1..=events).for_each(|seq| drop(hub.deliver(&delivery(seq))));
            let started = hub.start(&room, 1, Some(Position::new(1, 0)));
            hub.leave(&room, 1);
            started.map(|(_, later)| later.len())
        };
        assert_eq!(start(most), Some(WAITING_MOST));
        assert_eq!(start(most + 1), None);
    }

    proptest! {
        #[test]
        fn what_was_read_and_what_came_meanwhile_meet_without_a_hole(
            read in 0u64..20, first in 0u64..20, count in 0u64..20
        ) {
            let waiting = (first + 1..=first + count).map(delivery).collect();
            let later = continued(Position::new(1, read), waiting);
            if count > 0 && first > read {
                prop_assert!(later.is_none());
            } else {
                let (last, later) = later.unwrap();
                let seqs: Vec<u64> = later.iter().map(|one| one.position.unwrap().seq).collect();
                prop_assert_eq!(last, seqs.last().copied().unwrap_or(read));
                let newest = if count > 0 { first + count } else { 0 };
                let expected: Vec<u64> = (read + 1..=newest).collect();
                prop_assert_eq!(seqs, expected);
            }
        }
    }
}

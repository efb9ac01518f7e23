//! Messages that are not durable yet. Each goes out under its id until the server has taken it,
//! and again whenever it may have been lost since, until the archive has it: the server
//! recognises what it has.
//!
//! Room by room one message is under way at a time, the first that needs it: only so does a
//! sender's order survive an answer that says "later", a lost connection, and a Redis that has
//! forgotten what it acknowledged.

mod lane;
mod letter;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chinwag_protocol::request::StreamPosition;

use crate::error::Error;
use crate::message::{Level, Message, Receipt, Sent};
use crate::notice::Notice;
use crate::outbox::lane::Lane;
use crate::outbox::letter::Letter;
use crate::request::Answer;

/// What a message takes beside its body, about.
const OVERHEAD: usize = 256;

/// The messages of all rooms.
pub(crate) struct Outbox {
    lanes: BTreeMap<Arc<str>, Lane>,
    /// Rooms where something may have to go out.
    ready: BTreeSet<Arc<str>>,
    next: u64,
    letters: usize,
    bytes: usize,
    most_letters: usize,
    most_bytes: usize,
    /// How long to wait for word that a message is durable.
    patience: Duration,
    /// Whether the server says what is archived.
    pub marks: Marks,
    /// Whether the server can refuse a message whose predecessor it lacks.
    pub knows_order: bool,
    waiting: Vec<Answer<()>>,
    /// To be told to the application, in order.
    pub told: Vec<Notice>,
}

/// Whether a server says what is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// It has not so far.
    Unknown,
    /// It has.
    Given,
    /// It was asked often enough: what is acknowledged is as safe as it gets.
    Never,
}

/// A message to be sent now.
pub(crate) struct Outgoing {
    pub room: Arc<str>,
    pub ticket: u64,
    /// The argument of `message.send`.
    pub argument: Result<Bytes, Error>,
}

impl Outbox {
    pub fn new(most_letters: usize, most_bytes: usize, patience: Duration) -> Self {
        Self {
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            next: 0,
            letters: 0,
            bytes: 0,
            most_letters,
            most_bytes,
            patience,
            marks: Marks::Unknown,
            knows_order: false,
            waiting: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Takes a message, or refuses it if there is no room. `epoch` is what the room is known to
    /// be in.
    pub fn put(
        &mut self,
        message: Message,
        epoch: Option<&str>,
        answer: Answer<Sent>,
        now: Instant,
    ) {
        let bytes = message.body.len() + message.id.len() + message.room.len() + OVERHEAD;
        if self.letters >= self.most_letters || self.bytes + bytes > self.most_bytes {
            return drop(answer.send(Err(Error::Full)));
        }
        self.next += 1;
        self.letters += 1;
        self.bytes += bytes;
        let room: Arc<str> = message.room.as_str().into();
        let letter = Letter::new(self.next, message, bytes, answer);
        let lane = self.lanes.entry(Arc::clone(&room));
        let lane = lane.or_insert_with(|| Lane::new(epoch, now));
        lane.letters.push_back(letter);
        self.ready.insert(room);
    }

    /// The next message to go out; it counts as under way from now on.
    pub fn send(&mut self, now: Instant) -> Option<Outgoing> {
        while let Some(room) = self.ready.pop_first() {
            let Some(lane) = self.lanes.get_mut(&room) else {
                continue;
            };
            if let Some((ticket, argument)) = lane.send(self.knows_order, now) {
                return Some(Outgoing {
                    room,
                    ticket,
                    argument,
                });
            }
        }
        None
    }

    /// The server has answered for a message.
    pub fn answered(&mut self, room: &Arc<str>, ticket: u64, receipt: Receipt, now: Instant) {
        if receipt.durability > Level::Accepted {
            self.marks = Marks::Given;
        }
        let Some(lane) = self.lanes.get_mut(room) else {
            return;
        };
        lane.due = now + jittered(self.patience);
        if lane.answered(room, ticket, receipt, &mut self.told) && self.marks == Marks::Unknown {
            self.marks = Marks::Never;
            let rooms: Vec<_> = self.lanes.keys().map(Arc::clone).collect();
            rooms.iter().for_each(|room| self.changed(room));
        } else {
            self.changed(room);
        }
    }

    /// The server refuses a message. `false` if all of its room wait until [`Outbox::again`].
    pub fn refused(&mut self, room: &Arc<str>, ticket: u64, error: &Error) -> bool {
        let Some(lane) = self.lanes.get_mut(room) else {
            return true;
        };
        let goes_on = lane.refused(room, ticket, error, &mut self.told);
        self.changed(room);
        goes_on
    }

    /// A room is known to be in this epoch. If that is a later one than before, what was
    /// acknowledged has to be found again.
    pub fn entered(&mut self, room: &str, epoch: &str) {
        if let Some((room, lane)) = self.known(room)
            && lane.enter(epoch)
        {
            self.ready.insert(room);
        }
    }

    /// Something of this room was taken back.
    pub fn rewound(&mut self, room: &str) {
        if let Some((room, lane)) = self.known(room) {
            lane.doubt();
            self.ready.insert(room);
        }
    }

    /// Everything of a room up to here is archived.
    pub fn marked(&mut self, room: &str, mark: &StreamPosition, now: Instant) {
        self.marks = Marks::Given;
        let patience = jittered(self.patience);
        if let Some((room, lane)) = self.known(room) {
            lane.marked(mark);
            lane.due = now + patience;
            self.changed(&room);
        }
    }

    /// Who was told "later" asks again.
    pub fn again(&mut self) {
        for (room, lane) in &mut self.lanes {
            lane.put_off = false;
            self.ready.insert(Arc::clone(room));
        }
    }

    /// Whether something waits for [`Outbox::again`].
    pub fn has_put_off(&self) -> bool {
        self.lanes.values().any(|lane| lane.put_off)
    }

    /// The connection is gone, and with it the answers; what was acknowledged is in doubt.
    pub fn lost(&mut self) {
        for (room, lane) in &mut self.lanes {
            lane.lost();
            self.ready.insert(Arc::clone(room));
        }
    }

    /// When some acknowledged message will have waited too long for word that it is durable, or
    /// one that is under way for its answer.
    pub fn due(&self, answer_patience: Duration) -> Option<Instant> {
        let lanes = self.lanes.values();
        lanes.filter_map(|lane| lane.due(answer_patience)).min()
    }

    /// Asks for messages that have waited too long for word that they are durable: the first of
    /// each room, which says enough of those behind it.
    pub fn overdue(&mut self, now: Instant) {
        for (room, lane) in &mut self.lanes {
            if lane.is_waiting() && lane.due <= now {
                lane.due = now + jittered(self.patience);
                lane.ask_first();
                self.ready.insert(Arc::clone(room));
            }
        }
    }

    /// Whether the server leaves a message of before `then` without an answer.
    pub fn is_stuck(&self, then: Instant) -> bool {
        self.lanes.values().any(|lane| lane.is_stuck(then))
    }

    /// Answers when nothing is left.
    pub fn settle(&mut self, answer: Answer<()>) {
        self.waiting.retain(|waiting| !waiting.is_closed());
        self.waiting.push(answer);
        self.tell_settled();
    }

    /// Empties it, for the end.
    pub fn end(&mut self, error: &Error) {
        for (_, lane) in std::mem::take(&mut self.lanes) {
            lane.letters
                .into_iter()
                .for_each(|letter| letter.end(error));
        }
        for waiting in self.waiting.drain(..) {
            drop(waiting.send(Err(error.clone())));
        }
        (self.letters, self.bytes) = (0, 0);
    }

    fn known(&mut self, room: &str) -> Option<(Arc<str>, &mut Lane)> {
        let (key, _) = self.lanes.get_key_value(room)?;
        let key = Arc::clone(key);
        self.lanes.get_mut(room).map(|lane| (key, lane))
    }

    /// Lets go of what is settled in a room.
    fn changed(&mut self, room: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(room) else {
            return;
        };
        for letter in lane.take_settled(self.marks == Marks::Never, &mut self.told) {
            self.letters -= 1;
            self.bytes -= letter.bytes;
        }
        if lane.letters.is_empty() {
            self.lanes.remove(room);
            self.tell_settled();
        } else {
            self.ready.insert(Arc::clone(room));
        }
    }

    fn tell_settled(&mut self) {
        if self.lanes.is_empty() {
            for waiting in self.waiting.drain(..) {
                drop(waiting.send(Ok(())));
            }
        }
    }

    /// How many messages are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.letters
    }
}

/// A quarter more or less, so that clients that wait for one archiver do not all ask at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.75 + 0.5 * crate::reconnect::share())
}

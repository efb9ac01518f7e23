//! What a client knows and owes, apart from any connection: a state machine without a socket.
//!
//! Replies and requests go in, commands and notices come out. One connection after another is
//! driven through [`Session::begin`], [`Session::heard`] and [`Session::lost`]; rooms, positions
//! and unacknowledged messages outlive them.

mod letter;
mod mark;
mod room;
mod rooms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::Happening;
use chinwag_protocol::reply::{Outcome, Reply};
use chinwag_protocol::request::{ConnectRequest, RefreshRequest, StreamPosition};
use chinwag_protocol::result::ConnectResult;
use serde::Deserialize;

use crate::connect::Options;
use crate::connection::unexpected;
use crate::error::{Closed, Error};
use crate::notice::{Connected, Notice};
use crate::outbox::{Marks, Outbox};
use crate::request::{Answer, Request};
use crate::session::room::Room;

/// Most calls without an answer, and most that wait for a connection. Further ones are refused.
const CALLS: usize = 4096;

/// The close code after which no position is good.
const STATE_INVALIDATED: u16 = 3014;

/// What a client knows and owes.
pub(crate) struct Session {
    /// The first command of each connection, without the rooms.
    connect: ConnectRequest,
    /// How much later than announced a ping may come.
    ping_delay: Duration,
    /// How long a message may be under way.
    answer_patience: Duration,
    rooms: BTreeMap<Arc<str>, Room>,
    /// Where the application says that it stands in rooms that have not come yet.
    known: BTreeMap<Arc<str>, StreamPosition>,
    outbox: Outbox,
    wants_marks: bool,
    /// What each reply will be an answer to.
    pending: HashMap<u32, Pending>,
    /// Calls made while there was no session.
    waiting: VecDeque<(Method, Answer<Outcome>)>,
    next_id: u32,
    /// Whether the server has let this connection in.
    open: bool,
    /// The longest time without a word from the server, by what it said itself.
    silence: Option<Duration>,
    /// The time, as far as messages are concerned.
    pub now: Instant,
    /// Where the present connection leads.
    pub url: String,
    /// To be sent, in order.
    pub commands: Vec<Command>,
    /// To be told to the application, in order.
    pub notices: VecDeque<Notice>,
}

enum Pending {
    Connect,
    Call(Answer<Outcome>),
    Subscribe(Arc<str>),
    Unsubscribe(Answer<()>),
    Message(Arc<str>, u64),
    /// Whatever the reply says.
    Nothing,
}

impl Session {
    pub fn new(options: &Options) -> Self {
        let mut connect = options.connect_request();
        let wants_marks = options.marks && ask_for_marks(&mut connect.data);
        let known = options.positions.iter();
        Self {
            connect,
            ping_delay: options.ping_delay,
            answer_patience: options.call_timeout.saturating_mul(2),
            rooms: BTreeMap::new(),
            known: known
                .map(|(room, position)| (room.as_str().into(), position.clone()))
                .collect(),
            outbox: Outbox::new(options.outbox, options.outbox_bytes, options.mark_timeout),
            wants_marks,
            pending: HashMap::new(),
            waiting: VecDeque::new(),
            next_id: 0,
            open: false,
            silence: None,
            now: Instant::now(),
            url: options.url.clone(),
            commands: Vec::new(),
            notices: VecDeque::new(),
        }
    }

    /// Whether the server has let this connection in.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// How long the server may say nothing.
    pub fn silence(&self) -> Option<Duration> {
        self.silence
    }

    /// Whether something was put off that [`Session::again`] would ask for.
    pub fn has_put_off(&self) -> bool {
        self.open && (self.outbox.has_put_off() || self.rooms.values().any(Room::is_idle))
    }

    /// There is a new connection.
    pub fn begin(&mut self) {
        let mut connect = self.connect.clone();
        connect.subs = self.positions();
        self.ask(Method::Connect(connect), Pending::Connect);
    }

    /// Takes what the server says.
    ///
    /// # Errors
    /// Why this connection is of no use any more.
    pub fn heard(&mut self, reply: Reply) -> Result<(), Error> {
        match (reply.id, reply.outcome) {
            (0, Some(Outcome::Push(push))) => match push.happening {
                Some(happening) => self.happened(&push.channel, happening),
                None => Ok(()),
            },
            (0, _) => Ok(()),
            (id, Some(Outcome::Error(error))) => match self.pending.remove(&id) {
                Some(pending) => self.refused(id, pending, error.into()),
                None => Ok(()),
            },
            (id, Some(outcome)) => match self.pending.remove(&id) {
                Some(pending) => self.answered(id, pending, outcome),
                None => Ok(()),
            },
            (id, None) => match self.pending.remove(&id) {
                Some(pending) => {
                    let problem = "reply without a result".to_owned();
                    self.refused(id, pending, Error::Malformed(problem))
                }
                None => Ok(()),
            },
        }
    }

    /// Takes what the application asks.
    pub fn asked(&mut self, request: Request) {
        match request {
            Request::Call(method, answer) => self.call(method, answer),
            Request::Tell(method) if self.open => self.commands.push(Command::new(0, method)),
            Request::Tell(_) => {}
            Request::Subscribe(room, how, answer) => self.subscribe(&room.into(), how, answer),
            Request::Unsubscribe(room, answer) => self.unsubscribe(&room, answer),
            Request::Message(message, answer) => self.message(message, answer),
            Request::Settle(answer) => self.outbox.settle(answer),
            Request::Refresh(token, answer) => {
                self.connect.token.clone_from(&token);
                self.call(Method::Refresh(RefreshRequest { token }), answer);
            }
        }
    }

    /// Asks once more for what was put off.
    pub fn again(&mut self) {
        self.ask_for_rooms();
        self.outbox.again();
        self.send_letters();
    }

    /// When to call [`Session::overdue`] at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.outbox.due(self.answer_patience).filter(|_| self.open)
    }

    /// Asks for messages of which nothing was heard for too long.
    ///
    /// # Errors
    /// If the server leaves messages without an answer: another connection may be better.
    pub fn overdue(&mut self) -> Result<(), Error> {
        let then = self.now.checked_sub(self.answer_patience);
        if then.is_some_and(|then| self.outbox.is_stuck(then)) {
            return Err(Error::Timeout);
        }
        self.outbox.overdue(self.now);
        self.send_letters();
        Ok(())
    }

    /// The connection is gone.
    pub fn lost(&mut self, error: &Error, comes_back: bool) {
        for (_, pending) in self.pending.drain() {
            match pending {
                // Who is not connected is not subscribed.
                Pending::Unsubscribe(answer) => drop(answer.send(Ok(()))),
                Pending::Call(answer) => drop(answer.send(Err(error.clone()))),
                _ => {}
            }
        }
        self.commands.clear();
        self.outbox.lost();
        let invalidated =
            matches!(error, Error::Closed(closed) if closed.code == STATE_INVALIDATED);
        for room in self.rooms.values_mut() {
            room.lost(invalidated);
        }
        // One that never opened is no news, unless it was the last.
        if self.open || !comes_back {
            let error = error.clone();
            self.notices
                .push_back(Notice::Disconnected { error, comes_back });
        }
        self.open = false;
        self.silence = None;
    }

    /// There will be no other connection: answers everybody who waits.
    pub fn end(&mut self, error: &Error) {
        self.outbox.end(error);
        for (_, answer) in self.waiting.drain(..) {
            let _nobody_waits = answer.send(Err(error.clone()));
        }
        for (_, room) in std::mem::take(&mut self.rooms) {
            room.fail(error);
        }
    }

    fn answered(&mut self, id: u32, pending: Pending, outcome: Outcome) -> Result<(), Error> {
        match (pending, outcome) {
            (Pending::Connect, Outcome::Connect(result)) => self.connected(result)?,
            (Pending::Connect, other) => return Err(unexpected(&other)),
            (Pending::Call(answer), outcome) => drop(answer.send(Ok(outcome))),
            (Pending::Subscribe(room), Outcome::Subscribe(result)) => {
                self.subscription_answered(id, &room, result);
            }
            (Pending::Subscribe(room), other) => {
                self.not_subscribed(id, &room, unexpected(&other));
            }
            (Pending::Unsubscribe(answer), _) => drop(answer.send(Ok(()))),
            (Pending::Message(room, ticket), outcome) => self.delivered(&room, ticket, outcome),
            (Pending::Nothing, _) => {}
        }
        Ok(())
    }

    fn refused(&mut self, id: u32, pending: Pending, error: Error) -> Result<(), Error> {
        match pending {
            Pending::Connect => return Err(error),
            Pending::Call(answer) => drop(answer.send(Err(error))),
            Pending::Subscribe(room) => self.not_subscribed(id, &room, error),
            Pending::Unsubscribe(answer) => drop(answer.send(Err(error))),
            Pending::Message(room, ticket) => self.not_delivered(&room, ticket, &error),
            Pending::Nothing => {}
        }
        Ok(())
    }

    fn connected(&mut self, result: ConnectResult) -> Result<(), Error> {
        self.open = true;
        let ping = Duration::from_secs(result.ping.into());
        self.silence = (result.ping > 0).then(|| ping + self.ping_delay);
        let ttl = Duration::from_secs(result.ttl.into());
        let abilities = abilities(&result.data);
        self.outbox.knows_order = abilities.after;
        if abilities.marks {
            self.outbox.marks = Marks::Given;
        }
        self.notices.push_back(Notice::Connected(Connected {
            client: result.client,
            node: result.node,
            url: self.url.clone(),
            data: result.data,
            expires_in: result.expires.then_some(ttl),
        }));
        self.take_rooms(result.subs)?;
        self.again();
        for (method, answer) in std::mem::take(&mut self.waiting) {
            self.call(method, answer);
        }
        Ok(())
    }

    fn happened(&mut self, channel: &str, happening: Happening) -> Result<(), Error> {
        match happening {
            Happening::Pub(publication) => return self.published(channel, publication),
            Happening::Join(join) => self.joined(channel, join.info),
            Happening::Leave(leave) => self.left(channel, leave.info),
            Happening::Subscribe(push) => self.begun(channel, push)?,
            Happening::Unsubscribe(push) => self.unsubscribed(channel, push),
            Happening::Message(message) => self.notices.push_back(Notice::Message(message.data)),
            Happening::Disconnect(push) => {
                let code = u16::try_from(push.code).unwrap_or(Closed::ABNORMAL);
                let reason = push.reason;
                return Err(Error::Closed(Closed { code, reason }));
            }
        }
        Ok(())
    }

    fn call(&mut self, method: Method, answer: Answer<Outcome>) {
        if !self.open && self.waiting.len() < CALLS {
            return self.waiting.push_back((method, answer));
        }
        if self.pending.len() >= CALLS {
            // Those whose callers have stopped waiting make room.
            self.pending.retain(
                |_, pending| !matches!(pending, Pending::Call(answer) if answer.is_closed()),
            );
        }
        if !self.open || self.pending.len() >= CALLS {
            drop(answer.send(Err(Error::Full)));
        } else {
            self.ask(method, Pending::Call(answer));
        }
    }

    /// Puts a command on the way, and remembers what its reply will answer. Gives its id.
    fn ask(&mut self, method: Method, pending: Pending) -> u32 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.pending.insert(self.next_id, pending);
        self.commands.push(Command::new(self.next_id, method));
        self.next_id
    }
}

/// What a server says of itself when connecting.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Abilities {
    /// It tells what is archived.
    marks: bool,
    /// It refuses a message whose predecessor it lacks, if the message names one.
    after: bool,
}

fn abilities(data: &[u8]) -> Abilities {
    serde_json::from_slice(data).unwrap_or_default()
}

/// Adds to what the application says when connecting that marks are wanted. `false` if there is
/// no place for it: then the application speaks for itself.
fn ask_for_marks(data: &mut Bytes) -> bool {
    let mut object = serde_json::Map::new();
    if !data.is_empty() {
        match serde_json::from_slice(data) {
            Ok(given) => object = given,
            Err(_) => return false,
        }
    }
    object.entry("marks").or_insert(true.into());
    if let Ok(with_marks) = serde_json::to_vec(&object) {
        *data = with_marks.into();
    }
    object.get("marks") == Some(&true.into())
}

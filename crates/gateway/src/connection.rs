//! One client's connection: who it is, what it listens to, what waits for it. Belongs to one thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::BytesMut;
use chinwag_protocol::code::{Close, Code, Refusal};
use chinwag_protocol::codec::Encoding;
use chinwag_protocol::id::{ClientId, RoomId, UserId};
use chinwag_protocol::push::Push;
use chinwag_protocol::reply::{Outcome, Reply};
use tokio::sync::Notify;

use crate::behind::Behind;
use crate::delivery::encode;
use crate::gate::Place;
use crate::outbox::{Outbox, Worth};
use crate::subscription::Subscription;
use crate::token::Caller;

/// A connection's state. Its task reads and writes the socket; everybody else on its thread puts
/// messages into the outbox.
pub(crate) struct Connection {
    pub number: u64,
    pub client: ClientId,
    pub encoding: Encoding,
    pub outbox: Outbox,
    pub behind: Behind,
    /// Whether it asked to be told how far rooms are archived.
    pub wants_marks: Cell<bool>,
    pub subscriptions: RefCell<HashMap<RoomId, Subscription>>,
    caller: RefCell<Option<Rc<Caller>>>,
    /// Whether its user's session is known to Redis.
    pub session_open: Cell<bool>,
    /// When it said who it is, in milliseconds since 1970 by Redis's clock.
    pub begun: Cell<u64>,
    closing: RefCell<Option<(u16, String)>>,
    closed: Notify,
    stage: Cell<Stage>,
    staged: Notify,
    /// Its place, as long as it is pending.
    pending: RefCell<Option<Rc<Place>>>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its `connect` was not answered yet. Clients forget what they were pushed before that.
    Coming,
    /// It may be pushed to.
    Here,
    /// It was cleaned up after: nothing may begin for it any more.
    Gone,
}

impl Connection {
    pub(crate) fn new(
        number: u64,
        client: ClientId,
        encoding: Encoding,
        outbox_limit: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            client,
            encoding,
            outbox: Outbox::new(outbox_limit),
            behind: Behind::default(),
            wants_marks: Cell::new(false),
            subscriptions: RefCell::default(),
            caller: RefCell::default(),
            session_open: Cell::new(false),
            begun: Cell::new(0),
            closing: RefCell::default(),
            closed: Notify::new(),
            stage: Cell::new(Stage::Coming),
            staged: Notify::new(),
            pending: RefCell::default(),
        })
    }

    /// Who it is, once it has connected.
    pub(crate) fn caller(&self) -> Option<Rc<Caller>> {
        self.caller.borrow().clone()
    }

    pub(crate) fn set_caller(&self, caller: Caller) {
        *self.caller.borrow_mut() = Some(Rc::new(caller));
    }

    /// The user, unless it is anonymous or has not connected.
    pub(crate) fn user(&self) -> Option<UserId> {
        self.caller
            .borrow()
            .as_ref()
            .and_then(|caller| caller.user.clone())
    }

    /// The digest of the token of ours that it came with.
    pub(crate) fn token_digest(&self) -> Option<String> {
        self.caller
            .borrow()
            .as_ref()
            .and_then(|caller| caller.digest.clone())
    }

    pub(crate) fn is_subscribed(&self, room: &RoomId) -> bool {
        self.subscriptions.borrow().contains_key(room)
    }

    /// Whether the server made the subscription to a room.
    pub(crate) fn is_server_side(&self, room: &RoomId) -> bool {
        self.subscriptions
            .borrow()
            .get(room)
            .is_some_and(|subscription| subscription.server_side)
    }

    /// How many subscriptions the server made.
    pub(crate) fn server_side(&self) -> usize {
        let subscriptions = self.subscriptions.borrow();
        let made = subscriptions.values().filter(|one| one.server_side);
        made.count()
    }

    /// Puts a push into the outbox.
    pub(crate) fn push(&self, push: &Push) {
        self.outbox.put(encode(self.encoding, push), Worth::Owed);
    }

    /// Puts the answer to a command into the outbox.
    pub(crate) fn reply(&self, id: u32, outcome: Result<Outcome, Refusal>) {
        let reply = match outcome {
            Ok(outcome) => Reply::new(id, outcome),
            Err(refusal) => Reply::refusal(id, &refusal),
        };
        let mut frame = BytesMut::new();
        if let Err(error) = self.encoding.encode_reply(&reply, &mut frame) {
            tracing::error!(%error, "a reply cannot be encoded");
            let refusal = Refusal::new(Code::Internal, "internal error");
            drop(
                self.encoding
                    .encode_reply(&Reply::refusal(id, &refusal), &mut frame),
            );
        }
        self.outbox.put(frame.freeze(), Worth::Owed);
    }

    /// There was no room for an event of a room: what follows is read from the log, later.
    pub(crate) fn falls_behind(&self, room: &RoomId) {
        metrics::counter!("chinwag_gateway_fell_behind_total").increment(1);
        self.behind.add(room);
        self.outbox.set_behind(true);
    }

    /// It takes one of the places for those who have not said yet who they are.
    pub(crate) fn pending_at(&self, place: &Rc<Place>) {
        *self.pending.borrow_mut() = Some(Rc::clone(place));
    }

    /// Its `connect` was answered.
    pub(crate) fn has_come(&self) {
        if let Some(place) = self.pending.take() {
            place.establish();
        }
        self.stage.set(Stage::Here);
        self.staged.notify_waiters();
    }

    /// It ends: nothing begins for it any more.
    pub(crate) fn goes(&self) {
        self.pending.take();
        self.stage.set(Stage::Gone);
        self.staged.notify_waiters();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.stage.get() == Stage::Gone
    }

    /// Waits until its `connect` was answered. `false` if it ended before.
    pub(crate) async fn here(&self) -> bool {
        while self.stage.get() == Stage::Coming {
            self.staged.notified().await;
        }
        !self.is_gone()
    }

    /// Has the connection closed. The first reason counts.
    pub(crate) fn close(&self, close: Close) {
        self.close_with(close.number(), close.reason().to_owned());
    }

    /// Has the connection closed for a reason that is not ours.
    pub(crate) fn close_with(&self, code: u16, reason: String) {
        self.closing.borrow_mut().get_or_insert((code, reason));
        self.closed.notify_one();
    }

    /// Why it is to be closed, if it is.
    pub(crate) fn closing(&self) -> Option<(u16, String)> {
        self.closing.borrow().clone()
    }

    /// Waits until it is to be closed.
    pub(crate) async fn closed(&self) {
        while self.closing.borrow().is_none() {
            self.closed.notified().await;
        }
    }
}

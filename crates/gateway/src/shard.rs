//! One thread that owns connections: its hub, its connection to Redis, and its events.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chinwag_protocol::code::Close;
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::position::Position;
use chinwag_protocol::push::{Happening, Push, Subscribe, Unsubscribe};
use chinwag_runtime::Context;
use chinwag_store::channel::{Notice, Order};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use crate::alive::Alive;
use crate::appear;
use crate::assert;
use crate::backend::Backend;
use crate::behind;
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::gate::{Gate, Held};
use crate::hub::{Delivered, Hub, Reader};
use crate::identity::Identity;
use crate::inlet::{ShardEvent, Wanted, WishList, Wishes};
use crate::notices;
use crate::outbox::Worth;
use crate::subscription;

/// Unsubscribed by the server; do not come back by yourself.
const UNSUBSCRIBED: u32 = 2000;
/// The subscription's token has run out; subscribe again with another.
const EXPIRED: u32 = 2501;
/// Something is missing; subscribe again and recover.
const INSUFFICIENT: u32 = 2500;

/// What the connections of one thread share.
pub(crate) struct Shard {
    pub index: usize,
    pub backend: Backend,
    pub context: Context,
    pub hub: Hub,
    pub gate: Arc<Gate>,
    pub alive: Alive,
    /// Turns to read for connections that are behind.
    pub reads: Semaphore,
    wishes: WishList,
    /// Under which name it holds what it holds.
    pub identity: Identity,
    /// HTTP connections that have asked something and are not over.
    pub asking: Cell<usize>,
    /// WebSockets that are served, goodbye included.
    serving: Cell<usize>,
    /// Connections that are being told that there is no place for them.
    pub turned_away: Cell<usize>,
    next: Cell<u64>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    users: RefCell<HashMap<UserId, Vec<Rc<Connection>>>>,
}

/// One WebSocket of a thread, from its first word to its goodbye: a thread that ended in between
/// would leave its client without a reason.
pub(crate) struct Serving(Rc<Shard>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.set(self.0.serving.get().saturating_sub(1));
    }
}

impl Shard {
    pub(crate) fn new(
        index: usize,
        backend: Backend,
        context: Context,
        gate: Arc<Gate>,
        identity: Identity,
    ) -> Rc<Self> {
        Rc::new(Self {
            index,
            backend,
            context,
            hub: Hub::default(),
            gate,
            alive: Alive::default(),
            reads: Semaphore::new(behind::READS),
            wishes: WishList::default(),
            identity,
            asking: Cell::new(0),
            serving: Cell::new(0),
            turned_away: Cell::new(0),
            next: Cell::new(1),
            connections: RefCell::default(),
            users: RefCell::default(),
        })
    }

    /// A WebSocket is served until what this gives is dropped.
    pub(crate) fn serve(self: &Rc<Self>) -> Serving {
        self.serving.set(self.serving.get() + 1);
        Serving(Rc::clone(self))
    }

    /// Whether somebody here is talked to, or has asked and waits.
    pub(crate) fn is_busy(&self) -> bool {
        self.serving.get() > 0 || self.asking.get() > 0 || self.backend.is_busy()
    }

    /// A number for a connection, unique on this thread.
    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    pub(crate) fn add(&self, connection: &Rc<Connection>) {
        self.connections
            .borrow_mut()
            .insert(connection.number, Rc::clone(connection));
    }

    /// A connection has said who it is.
    pub(crate) fn add_user(&self, user: &UserId, connection: &Rc<Connection>) {
        connection.begun.set(self.backend.store.now());
        let mut users = self.users.borrow_mut();
        users
            .entry(user.clone())
            .or_default()
            .push(Rc::clone(connection));
    }

    pub(crate) fn remove(&self, connection: &Rc<Connection>) {
        self.connections.borrow_mut().remove(&connection.number);
        if let Some(user) = connection.user() {
            let mut users = self.users.borrow_mut();
            if let Some(theirs) = users.get_mut(&user) {
                theirs.retain(|other| other.number != connection.number);
                if theirs.is_empty() {
                    users.remove(&user);
                }
            }
        }
    }

    /// The users who have sessions on this thread.
    pub(crate) fn users(&self) -> Vec<UserId> {
        self.users.borrow().keys().cloned().collect()
    }

    /// A user's sessions on this thread.
    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Rc<Connection>> {
        self.users.borrow().get(user).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().cloned().collect()
    }

    /// Asks the inlet for rooms, or to leave them, in the order of the calls.
    pub(crate) fn wish(&self, wanted: Wanted) {
        self.wishes.add(wanted);
    }

    /// Passes wishes on to the inlet. Ends with it.
    pub(crate) async fn pass_wishes(self: Rc<Self>, inlet: Wishes) {
        self.wishes.pass(&inlet).await;
    }

    /// Handles events until the inlet ends.
    pub(crate) async fn run(self: Rc<Self>, mut events: mpsc::Receiver<ShardEvent>) {
        let mut sample = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => return,
                },
                _ = sample.tick() => self.sample(),
            }
        }
    }

    fn handle(self: &Rc<Self>, event: ShardEvent) {
        match event {
            ShardEvent::Delivery(delivery) => self.deliver(&delivery),
            ShardEvent::Opened(room, position) => {
                let deaf = self.hub.opened(&room, position);
                deaf.iter().for_each(|one| self.let_recover(one, &room));
            }
            ShardEvent::Epoch(room, position) => {
                self.hub.moved(&room, position);
                self.tell_epoch(&room, position);
            }
            ShardEvent::Broken(room, position) => {
                self.hub.moved(&room, position);
                // Who is only beginning reads what there is now.
                let mut readers = self.hub.readers(&room);
                readers.retain(|reader| reader.last.is_some());
                let readers = readers.iter();
                readers.for_each(|reader| self.let_recover(&reader.connection, &room));
            }
            ShardEvent::Skipped(room, position) => self.hub.skipped(&room, position),
            ShardEvent::Missed => notices::look_after_all(self),
            ShardEvent::Notice(notice) => self.notice(&notice),
            ShardEvent::Order(order, by) => self.order(&order, by),
            ShardEvent::Archived(rooms) => {
                let rooms = rooms.iter();
                rooms.for_each(|(room, position)| self.hub.archived(room, *position));
            }
            ShardEvent::Renamed(name) => assert::begin(self, name),
        }
    }

    fn deliver(self: &Rc<Self>, delivery: &Arc<Delivery>) {
        let delivered = self.hub.deliver(delivery);
        self.count(&delivered);
        metrics::histogram!("chinwag_gateway_deliver_seconds").record(delivery.heard.elapsed());
        if let Some(leaver) = &delivery.leaver {
            for connection in self.hub.subscribers(&delivery.room, Some(leaver)) {
                self.put_out(
                    &connection,
                    &delivery.room,
                    UNSUBSCRIBED,
                    "unsubscribed by server",
                );
            }
        }
    }

    /// Counts what went to connections.
    #[expect(clippy::unused_self, reason = "reads as what a thread does")]
    pub(crate) fn count(&self, delivered: &Delivered) {
        metrics::counter!("chinwag_gateway_deliveries_total").increment(delivered.count as u64);
        metrics::counter!("chinwag_gateway_delivery_bytes_total").increment(delivered.bytes as u64);
    }

    /// Tells a connection that it is no longer subscribed.
    fn put_out(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        room: &RoomId,
        code: u32,
        reason: &str,
    ) {
        if subscription::end(self, connection, room) {
            let happening = Happening::Unsubscribe(Unsubscribe {
                code,
                reason: reason.to_owned(),
            });
            connection.push(&Push::new(room.as_str(), happening));
        }
    }

    /// A reader lacks something: have it subscribe again and recover what the log has.
    pub(crate) fn let_recover(self: &Rc<Self>, connection: &Rc<Connection>, room: &RoomId) {
        if connection.is_server_side(room) {
            // Only a new connection can recover a subscription that the server made.
            connection.close(Close::InsufficientState);
        } else {
            self.put_out(connection, room, INSUFFICIENT, "insufficient state");
        }
    }

    /// Positions are pairs of epoch and sequence: readers need the new epoch to recover later.
    fn tell_epoch(self: &Rc<Self>, room: &RoomId, position: Position) {
        for Reader { connection, last } in self.hub.readers(room) {
            // Who is only beginning is answered in it.
            let Some(last) = last else {
                continue;
            };
            if connection.is_server_side(room) {
                let subscribe = Subscribe {
                    recoverable: true,
                    positioned: true,
                    epoch: position.epoch.to_string(),
                    // Whoever is behind has not had it all.
                    offset: last.min(position.seq),
                    ..Subscribe::default()
                };
                connection.push(&Push::new(room.as_str(), Happening::Subscribe(subscribe)));
            } else {
                self.put_out(&connection, room, INSUFFICIENT, "insufficient state");
            }
        }
    }

    /// A subscription's token has run out.
    pub(crate) fn expire(self: &Rc<Self>, connection: &Rc<Connection>, room: &RoomId) {
        self.put_out(connection, room, EXPIRED, "subscription expired");
    }

    fn notice(self: &Rc<Self>, notice: &Notice) {
        match notice {
            Notice::Appear { room, seq, users } => {
                for connection in users.iter().flat_map(|user| self.of_user(user)) {
                    appear::appear(self, &connection, room, Some(*seq));
                }
            }
            // For the inlet itself.
            Notice::Probe { .. } => {}
            Notice::Vanish { room, users } => {
                for connection in users.iter().flat_map(|user| self.of_user(user)) {
                    self.put_out(&connection, room, UNSUBSCRIBED, "unsubscribed by server");
                }
            }
            Notice::Activity { room, seq, users } => {
                let data = json!({ "type": "activity", "room": room, "seq": seq });
                for user in users {
                    let channel = RoomId::personal(user);
                    let push = Delivery::data(channel, &chinwag_protocol::json::Json::of(&data));
                    for connection in self.of_user(user) {
                        if !connection.is_subscribed(room) {
                            let bytes = push.bytes(connection.encoding);
                            connection.outbox.put(bytes, Worth::Passing);
                        }
                    }
                }
            }
        }
    }

    /// Obeys an order; one that comes late, for connections that had begun `by` then.
    fn order(self: &Rc<Self>, order: &Order, by: Option<u64>) {
        let of_user = |user: &UserId| {
            let mut theirs = self.of_user(user);
            theirs.retain(|one| by.is_none_or(|by| one.begun.get() <= by));
            theirs
        };
        match order {
            Order::Revoke {
                user,
                digest,
                except,
            } => {
                for connection in of_user(user) {
                    let own = connection.token_digest();
                    let hit = match (&own, digest) {
                        (None, _) => false,
                        (Some(own), Some(digest)) => own == digest,
                        (Some(_), None) => own != *except,
                    };
                    if hit {
                        connection.close(Close::InvalidToken);
                    }
                }
            }
            Order::Disconnect {
                user,
                client,
                code,
                reason,
            } => {
                for connection in of_user(user) {
                    let named = client
                        .as_deref()
                        .is_none_or(|one| one == connection.client.as_str());
                    if named {
                        connection.close_with(*code, reason.clone());
                    }
                }
            }
            Order::Subscribe { user, room } => {
                for connection in of_user(user) {
                    appear::appear(self, &connection, room, None);
                }
            }
            Order::Unsubscribe { user, room } => {
                for connection in of_user(user) {
                    self.put_out(&connection, room, UNSUBSCRIBED, "unsubscribed by server");
                }
            }
        }
    }

    /// Sets the gauges of what this thread holds.
    fn sample(&self) {
        let connections = self.connections.borrow();
        let waiting: usize = connections.values().map(|one| one.outbox.bytes()).sum();
        let behind = connections
            .values()
            .filter(|one| one.behind.is_any())
            .count();
        let held = Held {
            subscriptions: self.hub.subscriptions(),
            outbox_bytes: waiting,
            behind,
        };
        self.gate.sample(self.index, held);
    }
}

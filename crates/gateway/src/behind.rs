//! Rooms in which a connection is behind, and how it is read on: whenever its outbox has room, it
//! is given a piece of what it has missed, of one room after the other, until it is level.
//!
//! One read of a connection is under way at a time, and of few connections of a thread: what is
//! read waits nowhere but in the outbox.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::hub::{Delivered, Hub};
use crate::inlet::Wanted;
use crate::outbox::{Put, Worth};
use crate::past::{After, Question};
use crate::shard::Shard;

/// Reads for connections that are behind under way at once, of one thread.
pub(crate) const READS: usize = 8;
/// Events in the first piece; how many the next has follows from how many fitted.
const PIECE_FIRST: usize = 16;
const PIECE_MOST: usize = 256;
/// How long after a read that failed, or brought nothing, the next is.
const PAUSE: Duration = Duration::from_millis(200);
/// How long reads may fail before the reader is told that something is missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rooms in which a connection is behind, in the order of their turns. No more than it has
/// subscriptions.
#[derive(Default)]
pub(crate) struct Behind {
    rooms: RefCell<VecDeque<Turn>>,
    /// The one that has its turn is not among the others.
    reading: RefCell<Option<RoomId>>,
    piece: Cell<usize>,
}

/// A room's turn to be read.
struct Turn {
    room: RoomId,
    since: Instant,
    /// Since when reads have failed.
    failing: Option<Instant>,
}

impl Behind {
    /// The connection is behind in a room.
    pub(crate) fn add(&self, room: &RoomId) {
        self.rooms.borrow_mut().push_back(Turn {
            room: room.clone(),
            since: Instant::now(),
            failing: None,
        });
    }

    /// The connection has left a room. Whether that was the last in which it was behind.
    pub(crate) fn remove(&self, room: &RoomId) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        let before = rooms.len();
        rooms.retain(|turn| turn.room != *room);
        before > rooms.len() && rooms.is_empty() && self.reading.borrow().is_none()
    }

    /// Whether a room waits for its turn.
    pub(crate) fn waits(&self) -> bool {
        !self.rooms.borrow().is_empty()
    }

    /// Whether the connection is behind in some room.
    pub(crate) fn is_any(&self) -> bool {
        self.waits() || self.reading.borrow().is_some()
    }

    fn begin(&self) -> Option<Turn> {
        let turn = self.rooms.borrow_mut().pop_front()?;
        *self.reading.borrow_mut() = Some(turn.room.clone());
        Some(turn)
    }

    /// A room had its turn; it has another one, unless it is level.
    fn end(&self, again: Option<Turn>) {
        *self.reading.borrow_mut() = None;
        self.rooms.borrow_mut().extend(again);
    }

    fn piece(&self) -> usize {
        self.piece.get().clamp(PIECE_FIRST, PIECE_MOST)
    }
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Level,
    /// There is more.
    More,
    /// There was nothing to take yet.
    Nothing,
    /// It is no longer behind in this room, or no longer in it.
    Over,
    /// The log has no answer now.
    Failed,
    /// What it has missed cannot be had.
    Lost,
}

/// Gives a connection the next piece of a room in which it is behind.
pub(crate) async fn read_on(shard: Rc<Shard>, connection: Rc<Connection>) {
    let Some(mut turn) = connection.behind.begin() else {
        return;
    };
    let read = read(&shard, &connection, &turn.room).await;
    let failing = turn.failing.take();
    let mut again = None;
    match read {
        Read::Level => {
            metrics::histogram!("chinwag_gateway_caught_up_seconds").record(turn.since.elapsed());
        }
        Read::More => again = Some(turn),
        Read::Nothing => {
            tokio::time::sleep(PAUSE).await;
            again = Some(turn);
        }
        Read::Failed if failing.is_none_or(|since| since.elapsed() < PATIENCE) => {
            tokio::time::sleep(PAUSE).await;
            turn.failing = failing.or_else(|| Some(Instant::now()));
            again = Some(turn);
        }
        Read::Failed | Read::Lost => shard.let_recover(&connection, &turn.room),
        Read::Over => {}
    }
    connection.behind.end(again);
    connection.outbox.set_behind(connection.behind.is_any());
}

async fn read(shard: &Rc<Shard>, connection: &Rc<Connection>, room: &RoomId) -> Read {
    let (hub, number) = (&shard.hub, connection.number);
    let Some(from) = hub.read_on(room, number) else {
        return Read::Over;
    };
    let piece = connection.behind.piece();
    let missed = {
        let _turn = shard.reads.acquire().await;
        let question = Question {
            since: from,
            most: piece,
            known: hub.position(room).unwrap_or(from),
            archived: true,
            age: None,
        };
        shard.backend.after(room, question).await
    };
    match missed {
        // Sequences of two epochs are not put in one line: see `subscription/recovery.rs`.
        Ok(after) if hub.position(room).map(|at| at.epoch) != Some(after.top().epoch) => {
            shard.wish(Wanted::Look(room.clone()));
            hub.pause(room, number, from);
            Read::Nothing
        }
        Ok(After::Events(top, events)) => {
            let (read, delivered) = take(hub, connection, room, from, top, &events);
            shard.count(&delivered);
            read
        }
        Ok(After::Rewind(_)) => Read::Lost,
        Err(refusal) => {
            hub.pause(room, number, from);
            match is_for_good(&refusal) {
                true => Read::Lost,
                false => Read::Failed,
            }
        }
    }
}

/// Gives a connection what was read of a room after `from`, as far as there is room for it; `top` is
/// where the room stood then.
fn take(
    hub: &Hub,
    connection: &Connection,
    room: &RoomId,
    from: Position,
    top: Position,
    deliveries: &[Arc<Delivery>],
) -> (Read, Delivered) {
    let number = connection.number;
    let mut delivered = Delivered::default();
    if !hub.is_reading(room, number) {
        return (Read::Over, delivered);
    }
    let mut last = Position::new(top.epoch, from.seq);
    for delivery in deliveries {
        let Some(position) = delivery.position.filter(|at| at.seq == last.seq + 1) else {
            break;
        };
        let bytes = delivery.bytes(connection.encoding);
        let length = bytes.len();
        if connection.outbox.put(bytes, Worth::Late) == Put::Full {
            break;
        }
        delivered.count += 1;
        delivered.bytes += length;
        last.seq = position.seq;
    }
    connection.behind.piece.set(2 * delivered.count);
    let moved = last.seq > from.seq;
    let level = if last.seq >= top.seq {
        hub.level(room, number, last, &mut delivered)
    } else {
        hub.pause(room, number, last);
        false
    };
    let read = match (level, moved) {
        (true, _) => Read::Level,
        (false, true) => Read::More,
        (false, false) => Read::Nothing,
    };
    (read, delivered)
}

/// Whether trying again would bring nothing else.
pub(crate) fn is_for_good(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::UnrecoverablePosition | Code::Internal)
}

#[cfg(test)]
mod tests;

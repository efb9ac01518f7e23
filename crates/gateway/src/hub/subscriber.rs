//! One connection in one room: how far it has what is said there.

use std::rc::Rc;
use std::sync::Arc;

use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;

use crate::connection::Connection;
use crate::delivery::{Class, Delivery};
use crate::hub::Delivered;
use crate::outbox::{Put, Worth};

/// Most that waits for one subscriber who reads what it has missed. What does not fit is read from
/// the log later.
pub(super) const WAITING_MOST: usize = 4_096;

/// A place in a room.
pub(super) struct Subscriber {
    pub connection: Rc<Connection>,
    pub wants_comings: bool,
    pub stage: Stage,
}

/// How far a subscriber is.
pub(super) enum Stage {
    /// It is read what it has missed before it is answered; what comes meanwhile waits here.
    Starting(Vec<Arc<Delivery>>),
    /// It has everything up to this sequence.
    Live(u64),
    /// It has everything up to here; its connection takes less than is said. Nothing new is for
    /// it, and it costs nothing, until the connection has room.
    Behind(Position),
    /// It was behind from here on, and is read what it has missed; what comes meanwhile waits.
    Reading(Position, Vec<Arc<Delivery>>),
}

impl Subscriber {
    /// Takes what is said, in the order in which it is. `epoch` is that of what was said before.
    pub fn take(&mut self, delivery: &Arc<Delivery>, epoch: u64, delivered: &mut Delivered) {
        match (&mut self.stage, delivery.position) {
            (Stage::Live(last), Some(position)) => {
                let last = *last;
                if position.seq <= last {
                    return;
                }
                if position.seq == last + 1 && self.hand(delivery, Worth::Event, delivered) {
                    self.stage = Stage::Live(position.seq);
                } else {
                    self.fall(&delivery.room, Position::new(epoch, last));
                }
            }
            (Stage::Live(_), None) => {
                if delivery.class != Class::Coming || self.wants_comings {
                    self.hand(delivery, Worth::Passing, delivered);
                }
            }
            (Stage::Starting(waiting) | Stage::Reading(_, waiting), Some(_)) => {
                hold(waiting, delivery);
            }
            (Stage::Starting(waiting), None) => {
                // Its own join among them: who asks for joins hears that, too.
                if delivery.class == Class::Coming && self.wants_comings {
                    hold(waiting, delivery);
                }
            }
            // What passes has passed until this one is level.
            (Stage::Behind(_), _) | (Stage::Reading(..), None) => {}
        }
    }

    /// Whether it is told how far the room is archived.
    pub fn wants_marks(&self) -> bool {
        self.connection.wants_marks.get()
    }

    /// Up to where it has everything, if it was answered.
    pub fn last(&self) -> Option<u64> {
        match &self.stage {
            Stage::Starting(_) => None,
            Stage::Live(last) => Some(*last),
            Stage::Behind(at) | Stage::Reading(at, _) => Some(at.seq),
        }
    }

    /// Has it read on from the log, after a position.
    pub fn fall(&mut self, room: &RoomId, at: Position) {
        self.stage = Stage::Behind(at);
        self.connection.falls_behind(room);
    }

    /// It has read up to `read`: it is live and takes what waited, unless that does not reach
    /// `top`, or does not fit. Whether it is level.
    pub fn level(
        &mut self,
        read: Position,
        waiting: Vec<Arc<Delivery>>,
        top: u64,
        delivered: &mut Delivered,
    ) -> bool {
        let mut last = read;
        for delivery in waiting {
            let Some(position) = delivery.position.filter(|at| at.seq > last.seq) else {
                continue;
            };
            if position.seq > last.seq + 1 || !self.hand(&delivery, Worth::Late, delivered) {
                break;
            }
            last = position;
        }
        let level = last.seq >= top;
        self.stage = match level {
            true => Stage::Live(last.seq),
            false => Stage::Behind(last),
        };
        level
    }

    /// The room's log has begun an epoch, in which what it has is true; or it is put out.
    pub fn enter(&mut self, epoch: u64) {
        match &mut self.stage {
            Stage::Behind(at) | Stage::Reading(at, _) => at.epoch = at.epoch.max(epoch),
            // What waited may not be true in it, and is read again.
            Stage::Starting(waiting) => waiting.retain(|one| one.position.is_none()),
            Stage::Live(_) => {}
        }
    }

    /// Whether there was room for it, or it is not worth any.
    fn hand(&self, delivery: &Delivery, worth: Worth, delivered: &mut Delivered) -> bool {
        let bytes = delivery.bytes(self.connection.encoding);
        let length = bytes.len();
        match self.connection.outbox.put(bytes, worth) {
            Put::Waits => {
                delivered.count += 1;
                delivered.bytes += length;
                true
            }
            Put::Full if worth == Worth::Passing => {
                metrics::counter!("chinwag_gateway_outbox_dropped_total", "class" => "ephemeral")
                    .increment(1);
                true
            }
            Put::Full => false,
        }
    }
}

fn hold(waiting: &mut Vec<Arc<Delivery>>, delivery: &Arc<Delivery>) {
    if waiting.len() < WAITING_MOST {
        waiting.push(Arc::clone(delivery));
    }
}

/// Of what waited, what comes after the position that was read, up to the first hole; and the last
/// sequence of it.
pub(super) fn continued(read: Position, waiting: Vec<Arc<Delivery>>) -> (u64, Vec<Arc<Delivery>>) {
    let mut last = read.seq;
    let mut later = Vec::new();
    for delivery in waiting {
        match delivery.position.map(|position| position.seq) {
            None => later.push(delivery),
            Some(seq) if seq > last + 1 => break,
            Some(seq) if seq == last + 1 => {
                last = seq;
                later.push(delivery);
            }
            Some(_) => {}
        }
    }
    (last, later)
}

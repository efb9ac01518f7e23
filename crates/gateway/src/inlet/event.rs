//! What the threads that own connections are handed.

use std::sync::Arc;

use chinwag_protocol::id::{Incarnation, RoomId};
use chinwag_protocol::position::Position;
use chinwag_store::channel::{Notice, Order};

use crate::delivery::Delivery;

/// What a thread is handed.
#[derive(Debug, Clone)]
pub(crate) enum ShardEvent {
    /// Something was said in a room it wants.
    Delivery(Arc<Delivery>),
    /// It gets what comes after `position` of a room that it asked for; or cannot.
    Opened(RoomId, Option<Position>),
    /// A room's log has begun an epoch; up to the position everybody has everything.
    Epoch(RoomId, Position),
    /// A room's readers here have something that is no longer true, or lack something that
    /// cannot be had. It stands at the position.
    Broken(RoomId, Position),
    /// More came in a room than is handed out. It stands at the position, and all of it can be had
    /// from its log.
    Skipped(RoomId, Position),
    /// Notices and orders may have been lost.
    Missed,
    /// Something about users of this gateway.
    Notice(Arc<Notice>),
    /// An order to all gateways. One that was not heard when it was given concerns the connections
    /// that had begun by then, in milliseconds since 1970.
    Order(Arc<Order>, Option<u64>),
    /// Rooms are archived up to these places.
    Archived(Arc<Vec<(RoomId, Position)>>),
    /// The gateway has another name, and hears what is said to it: what is held is to be held under
    /// this one.
    Renamed(Incarnation),
}

//! What a client tells its application unasked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::push::{ClientInfo, Publication};
use chinwag_protocol::request::StreamPosition;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::room::Missed;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A session is open, for the first time or again. Its rooms follow.
    Connected(Connected),
    /// The session is over.
    Disconnected {
        /// Why.
        error: Error,
        /// Whether the client comes back by itself. If not, this is the last notice.
        comes_back: bool,
    },
    /// A room is live, for the first time or again. What was missed follows.
    Subscribed(Subscribed),
    /// A room is not live any more, and will not be by itself.
    Unsubscribed {
        /// Which.
        room: Arc<str>,
        /// The server's code, an error's or an unsubscribe push's.
        code: u32,
        /// The server's words.
        reason: String,
    },
    /// Something was published. Each offset of a room comes once, and in order.
    Publication {
        /// Where.
        room: Arc<str>,
        /// What.
        publication: Publication,
    },
    /// A connection subscribed to a room.
    Joined {
        /// Which room.
        room: Arc<str>,
        /// Whose connection.
        info: ClientInfo,
    },
    /// A connection unsubscribed from a room, or went.
    Left {
        /// Which room.
        room: Arc<str>,
        /// Whose connection.
        info: ClientInfo,
    },
    /// The server says something to this connection (JSON).
    Message(Bytes),
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The connection's id.
    pub client: String,
    /// The gateway's id.
    pub node: String,
    /// What the server added (JSON).
    pub data: Bytes,
    /// The time within which to [refresh](crate::client::Client::refresh) the token, if it ends.
    pub expires_in: Option<Duration>,
}

/// A live room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Which.
    pub room: Arc<str>,
    /// Its top at this moment. Zero and empty if the room's publications are not counted.
    pub position: StreamPosition,
    /// What was missed and cannot be had.
    pub missed: Option<Missed>,
    /// Whether the server subscribed this client unasked.
    pub by_server: bool,
    /// What the server added (JSON).
    pub data: Bytes,
}

/// The notices in order. Dropping it means that nobody listens; the client goes on.
#[derive(Debug)]
pub struct Notices {
    pub(crate) receiver: mpsc::Receiver<Notice>,
}

impl Notices {
    /// The next notice, or `None` when the client has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Notice> {
        self.receiver.recv().await
    }

    /// The next notice, if there is one already.
    pub fn try_next(&mut self) -> Option<Notice> {
        self.receiver.try_recv().ok()
    }
}

//! What a client tells its application unasked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::push::{ClientInfo, Publication};
use chinwag_protocol::request::StreamPosition;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::message::Durable;
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
    /// A Redis that lost its tail has taken back what this client saw of a room beyond `to`. Drop
    /// it: what is there now follows. Always comes right before `Subscribed`.
    Rewound {
        /// Which room.
        room: Arc<str>,
        /// The last that this client saw.
        from: StreamPosition,
        /// What surely still holds, in the epoch that is current now. Its offset is 0 if nothing
        /// is certain: then all that is shown is to be fetched anew.
        to: StreamPosition,
    },
    /// Something was published. Each offset of a room comes once, and in order, except for what
    /// comes again after `Rewound`.
    Publication {
        /// Where.
        room: Arc<str>,
        /// The room's epoch at this moment: with the publication's offset the cursor to keep, and
        /// to go on from. Empty if the room's publications are not counted.
        epoch: Arc<str>,
        /// What.
        publication: Publication,
    },
    /// A message of this client's is durable. The same is to be had from `Sent::durable`.
    Durable(Durable),
    /// A message of this client's that was acknowledged has another place now: its first one was
    /// taken back, or the acknowledgement came from an earlier life of the room.
    Moved {
        /// Its room.
        room: Arc<str>,
        /// The sender's name for it.
        id: String,
        /// Where it was said to be.
        from: StreamPosition,
        /// Where it is.
        to: StreamPosition,
    },
    /// A message of this client's was acknowledged and is not durable, and now the server refuses
    /// it for good, as from somebody who is no longer a member. Whether it is there is not known.
    Unconfirmed {
        /// Its room.
        room: Arc<str>,
        /// The sender's name for it.
        id: String,
        /// The refusal.
        error: Error,
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
    /// The address that led there.
    pub url: String,
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
    /// Where the publications that follow begin: the place where this client was, if all that it
    /// missed follows; else the top.
    pub after: StreamPosition,
    /// Whether all that was missed since an earlier place follows.
    pub recovered: bool,
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
    pub(crate) positions: BTreeMap<Arc<str>, StreamPosition>,
}

impl Notices {
    pub(crate) fn new(receiver: mpsc::Receiver<Notice>) -> Self {
        Self {
            receiver,
            positions: BTreeMap::new(),
        }
    }

    /// The next notice, or `None` when the client has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Notice> {
        let notice = self.receiver.recv().await?;
        self.follow(&notice);
        Some(notice)
    }

    /// The next notice, if there is one already.
    pub fn try_next(&mut self) -> Option<Notice> {
        let notice = self.receiver.try_recv().ok()?;
        self.follow(&notice);
        Some(notice)
    }

    /// Where the application stands in each room, by the notices that it has taken: the cursors
    /// to go on from, see [`Options::positions`](crate::connect::Options::positions).
    ///
    /// An application that keeps messages writes each of them and its cursor in one transaction:
    /// then every message is applied once, whatever ends in between.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<String, StreamPosition> {
        let positions = self.positions.iter();
        positions
            .map(|(room, position)| (room.to_string(), position.clone()))
            .collect()
    }

    fn follow(&mut self, notice: &Notice) {
        let (room, position) = match notice {
            Notice::Subscribed(subscribed) if subscribed.position == StreamPosition::default() => {
                return;
            }
            Notice::Subscribed(subscribed) => (&subscribed.room, subscribed.after.clone()),
            Notice::Rewound { room, to, .. } => (room, to.clone()),
            Notice::Publication {
                room,
                epoch,
                publication,
            } if publication.offset > 0 && !epoch.is_empty() => {
                let offset = publication.offset;
                let epoch = epoch.to_string();
                (room, StreamPosition { offset, epoch })
            }
            Notice::Unsubscribed { room, .. } => {
                self.positions.remove(room);
                return;
            }
            _ => return,
        };
        self.positions.insert(Arc::clone(room), position);
    }
}

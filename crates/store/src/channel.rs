//! Pub/sub: what is said on channels. Who listens to them is in [`Listener`].
//!
//! A room's channel carries records of events, in the order of their sequences, and signals, which
//! are not kept. Pub/sub is a hint: everything durable is found again in the log.

use bytes::Bytes;
use chinwag_protocol::id::{Incarnation, RoomId, UserId};
use chinwag_protocol::position::Position;
use redis::{PushInfo, PushKind, Value};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keys::{CONTROL, Keys};
pub use crate::listener::{Ear, Listener};
use crate::mark;
use crate::partition::Partition;
use crate::presence::Occupant;
use crate::record;
use crate::store::Store;

/// Something said in a room that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// A client came in.
    Join(Occupant),
    /// A client went.
    Leave(Occupant),
    /// JSON for whoever listens, such as presence and read marks.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl Signal {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Signals are maps of one entry (0x81), records arrays of nine (0x99).
        record::encode(self)
    }

    /// Reads a payload of a room's channel that is not a record.
    ///
    /// # Errors
    /// `Corrupt` if it is none of this version's.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        record::decode_value("signal", payload)
    }
}

/// What one gateway is told about its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// These users have a room now, by the event of this sequence: show it to them.
    Appear {
        /// The room.
        room: RoomId,
        /// The first sequence that is news to them.
        seq: u64,
        /// Who.
        users: Vec<UserId>,
    },
    /// Whether what is said to a gateway reaches it; only it says so, to itself.
    Probe {
        /// Counts up.
        number: u64,
    },
    /// These users have lost a room.
    Vanish {
        /// The room.
        room: RoomId,
        /// Who.
        users: Vec<UserId>,
    },
    /// Something happened in a room to which sessions of these users do not listen.
    Activity {
        /// The room.
        room: RoomId,
        /// The last sequence.
        seq: u64,
        /// Who.
        users: Vec<UserId>,
    },
}

/// An order to all gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Close the connections of a user that came with the token of this digest, or, without one,
    /// with any of our tokens but the one whose digest is `except`.
    Revoke {
        /// Whose.
        user: UserId,
        /// The token's digest.
        digest: Option<String>,
        /// The digest of a token that stays good.
        except: Option<String>,
    },
    /// Close a user's connections (one of them, if a client is named).
    Disconnect {
        /// Whose.
        user: UserId,
        /// Which connection.
        client: Option<String>,
        /// Close code.
        code: u16,
        /// Words with it.
        reason: String,
    },
    /// Subscribe a user's connections to a channel.
    Subscribe {
        /// Whose.
        user: UserId,
        /// To what.
        room: RoomId,
    },
    /// Unsubscribe a user's connections from a channel.
    Unsubscribe {
        /// Whose.
        user: UserId,
        /// From what.
        room: RoomId,
    },
}

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// A payload on a room's channel: a record, or a [`Signal`].
    Room(RoomId, Bytes),
    /// A notice for the gateway that listens.
    Notice(Notice),
    /// An order.
    Order(Order),
    /// A presence list has work.
    Wake(Partition),
    /// Partitions of the role that listens become free, or are.
    Handover,
    /// Something is not listened to any more: see [`Ear::mend`].
    Torn,
    /// Rooms are archived up to these places: all events of the epoch, or of an earlier one that
    /// is still true, up to the sequence.
    Archived(Vec<(RoomId, Position)>),
}

impl Store {
    /// Says something in a room that is not kept.
    ///
    /// # Errors
    /// As every write.
    pub async fn signal(&self, room: &RoomId, signal: &Signal) -> Result<()> {
        let mut command = redis::cmd("SPUBLISH");
        command.arg(self.keys.channel(room)).arg(signal.encode());
        self.link.query("publish", &command).await.map(drop)
    }

    /// Says something in many rooms, in one round trip.
    ///
    /// # Errors
    /// As every write.
    pub async fn signals(&self, signals: &[(RoomId, Signal)]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for (room, signal) in signals {
            pipeline
                .cmd("SPUBLISH")
                .arg(self.keys.channel(room))
                .arg(signal.encode());
        }
        self.link.pipeline("signals", &pipeline).await.map(drop)
    }

    /// Tells one gateway something about its users.
    ///
    /// # Errors
    /// As every write.
    pub async fn notify(&self, gateway: &Incarnation, notice: &Notice) -> Result<()> {
        self.publish(Keys::inbox(gateway), record::encode(notice))
            .await
    }

    /// Tells gateways several things, in order and in one round trip.
    ///
    /// # Errors
    /// As every write.
    pub async fn notify_all(&self, notices: &[(Incarnation, Notice)]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for (gateway, notice) in notices {
            pipeline
                .cmd("PUBLISH")
                .arg(Keys::inbox(gateway))
                .arg(record::encode(notice));
        }
        self.link.pipeline("notify", &pipeline).await.map(drop)
    }

    /// Says an order to the gateways that listen.
    pub(crate) async fn say_order(&self, payload: Vec<u8>) -> Result<()> {
        self.publish(CONTROL.to_owned(), payload).await
    }

    async fn publish(&self, channel: String, payload: Vec<u8>) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        self.link.query("publish", &command).await.map(drop)
    }
}

/// What a push means; `None` for confirmations and for what nobody here can read.
pub(crate) fn heard_in(keys: &Keys, push: PushInfo) -> Option<Heard> {
    if ![PushKind::Message, PushKind::SMessage].contains(&push.kind) {
        return None;
    }
    let mut data = push.data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) =
        (data.next(), data.next())
    else {
        return None;
    };
    let channel = String::from_utf8(channel).ok()?;
    if let Some(room) = Keys::room_of_channel(&channel) {
        return Some(Heard::Room(room, payload.into()));
    }
    if let Some(partition) = keys.partition_of_wake(&channel) {
        return Some(Heard::Wake(partition));
    }
    if Keys::is_handover_channel(&channel) {
        return Some(Heard::Handover);
    }
    let read = match channel.as_str() {
        name if Keys::is_archived_channel(name) => {
            mark::decode_archived(&payload).map(Heard::Archived)
        }
        CONTROL => record::decode_value("order", &payload).map(Heard::Order),
        _ => record::decode_value("notice", &payload).map(Heard::Notice),
    };
    read.inspect_err(|error| tracing::warn!(%channel, %error, "cannot read what was published"))
        .ok()
}

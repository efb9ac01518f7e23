//! What a server says unasked: something happened in a channel, or to the connection.
//!
//! Centrifuge's pushes `connect` and `refresh` (tags 10 and 12) are for transports of one
//! direction, which there are none of here.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::Close;
use crate::raw::is_default;
use crate::tagged::tagged;

/// One happening.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct Push {
    /// Stands for the channel, if the subscribe result gave such a number.
    #[prost(int64, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub id: i64,
    /// Where; empty if it concerns the connection.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default")]
    pub channel: String,
    /// What. `None` is something that this version does not know.
    #[prost(oneof = "Happening", tags = "4, 5, 6, 7, 8, 9, 11")]
    #[serde(flatten)]
    pub happening: Option<Happening>,
}

impl Push {
    /// What happened in `channel`.
    #[must_use]
    pub fn new(channel: impl Into<String>, happening: Happening) -> Self {
        Self {
            id: 0,
            channel: channel.into(),
            happening: Some(happening),
        }
    }
}

/// What can happen.
#[derive(Clone, PartialEq, prost::Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// Data was published.
    #[prost(message, tag = "4")]
    Pub(Publication),
    /// A connection subscribed.
    #[prost(message, tag = "5")]
    Join(Join),
    /// A connection unsubscribed or went.
    #[prost(message, tag = "6")]
    Leave(Leave),
    /// The server ended a subscription of this connection.
    #[prost(message, tag = "7")]
    Unsubscribe(Unsubscribe),
    /// Data from the server for this connection.
    #[prost(message, tag = "8")]
    Message(Message),
    /// The server subscribed this connection.
    #[prost(message, tag = "9")]
    Subscribe(Subscribe),
    /// The connection is about to be closed.
    #[prost(message, tag = "11")]
    Disconnect(Disconnect),
}

/// Who is behind a connection.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientInfo {
    /// The user's id; empty for nobody in particular.
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub user: String,
    /// The connection's id.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default")]
    pub client: String,
    /// What the connection's token says of it (JSON).
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(with = "crate::raw", skip_serializing_if = "is_default")]
    pub conn_info: Bytes,
    /// What the subscription's token says of it (JSON).
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(with = "crate::raw", skip_serializing_if = "is_default")]
    pub chan_info: Bytes,
}

/// Data published into a channel.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Publication {
    /// The data (JSON).
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(with = "crate::raw", skip_serializing_if = "is_default")]
    pub data: Bytes,
    /// Who published, unless it was the server.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "is_default")]
    pub info: Option<ClientInfo>,
    /// The sequence, dense from 1; 0 for what is not kept.
    #[prost(uint64, tag = "6")]
    #[serde(skip_serializing_if = "is_default")]
    pub offset: u64,
    /// Words for filters.
    #[prost(btree_map = "string, string", tag = "7")]
    #[serde(skip_serializing_if = "is_default")]
    pub tags: BTreeMap<String, String>,
    /// Whether `data` is a delta.
    #[prost(bool, tag = "8")]
    #[serde(skip_serializing_if = "is_default")]
    pub delta: bool,
    /// Milliseconds since 1970, by Redis's clock.
    #[prost(int64, tag = "9")]
    #[serde(skip_serializing_if = "is_default")]
    pub time: i64,
    /// The channel, where the surroundings do not say it.
    #[prost(string, tag = "10")]
    #[serde(skip_serializing_if = "is_default")]
    pub channel: String,
}

/// A connection subscribed.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Join {
    /// Who. Always there.
    #[prost(message, optional, tag = "1")]
    pub info: Option<ClientInfo>,
}

/// A connection unsubscribed or went.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Leave {
    /// Who. Always there.
    #[prost(message, optional, tag = "1")]
    pub info: Option<ClientInfo>,
}

/// The server ended a subscription. Both fields are always written and must not be zero or
/// empty: centrifuge-python reads them unasked.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsubscribe {
    /// From 2500 on the client should subscribe again.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// For people.
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// Data from the server for this connection.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The data (JSON).
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(with = "crate::raw", skip_serializing_if = "is_default")]
    pub data: Bytes,
}

/// The server subscribed this connection to the push's channel.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscribe {
    /// Whether the client may recover later.
    #[prost(bool, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub recoverable: bool,
    /// The epoch of `offset`.
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "is_default")]
    pub epoch: String,
    /// The channel's top sequence: live publications begin after it.
    #[prost(uint64, tag = "5")]
    #[serde(skip_serializing_if = "is_default")]
    pub offset: u64,
    /// Whether the server watches that nothing is missing.
    #[prost(bool, tag = "6")]
    #[serde(skip_serializing_if = "is_default")]
    pub positioned: bool,
    /// Whatever the server adds (JSON).
    #[prost(bytes = "bytes", tag = "7")]
    #[serde(with = "crate::raw", skip_serializing_if = "is_default")]
    pub data: Bytes,
}

/// The connection is about to be closed. Always written in full, as [`Unsubscribe`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Disconnect {
    /// A close code: see [`Close`].
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// For people.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Whether to come back. Clients go by the code.
    #[prost(bool, tag = "3")]
    #[serde(skip_serializing_if = "is_default")]
    pub reconnect: bool,
}

impl From<Close> for Disconnect {
    fn from(close: Close) -> Self {
        Self {
            code: close.number().into(),
            reason: close.reason().to_owned(),
            reconnect: close.reconnects(),
        }
    }
}

tagged! {
    Push { Id => id, Channel => channel } happening: Happening {
        Pub, Join, Leave, Unsubscribe, Message, Subscribe, Disconnect,
    }
}

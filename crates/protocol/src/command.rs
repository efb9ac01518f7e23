//! What a client says: the commands of the centrifuge protocol v2.
//!
//! Field names and Protobuf tags are centrifuge's, so that its SDKs are understood. In JSON a
//! missing field has its default; an unknown field is ignored in both encodings.

use serde::Serialize;

use crate::raw::is_default;
use crate::request::{
    ConnectRequest, HistoryRequest, PingRequest, PresenceRequest, PresenceStatsRequest,
    PublishRequest, RefreshRequest, RpcRequest, SendRequest, SubRefreshRequest, SubscribeRequest,
    UnsubscribeRequest,
};
use crate::tagged::tagged;

/// One thing asked for. Neither id nor method: the answer to a ping.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct Command {
    /// Chosen by the client, from 1, unlike any other in flight; the reply carries it. 0 for
    /// what wants no reply.
    #[prost(uint32, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub id: u32,
    /// What is asked for. `None` beside an id is a method that this version does not know.
    #[prost(oneof = "Method", tags = "4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
    #[serde(flatten)]
    pub method: Option<Method>,
}

impl Command {
    /// The command that asks for `method` under `id`.
    #[must_use]
    pub fn new(id: u32, method: Method) -> Self {
        Self {
            id,
            method: Some(method),
        }
    }

    /// The answer to a server's ping.
    #[must_use]
    pub fn pong() -> Self {
        Self::default()
    }

    /// Whether this is the answer to a ping.
    #[must_use]
    pub fn is_pong(&self) -> bool {
        self.id == 0 && self.method.is_none()
    }
}

/// What can be asked for.
#[derive(Clone, PartialEq, prost::Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The first command of a connection.
    #[prost(message, tag = "4")]
    Connect(ConnectRequest),
    /// Live publications of a channel, and what was missed.
    #[prost(message, tag = "5")]
    Subscribe(SubscribeRequest),
    /// The end of a subscription.
    #[prost(message, tag = "6")]
    Unsubscribe(UnsubscribeRequest),
    /// Data for all subscribers of a channel.
    #[prost(message, tag = "7")]
    Publish(PublishRequest),
    /// Who is subscribed.
    #[prost(message, tag = "8")]
    Presence(PresenceRequest),
    /// How many are subscribed.
    #[prost(message, tag = "9")]
    PresenceStats(PresenceStatsRequest),
    /// Past publications.
    #[prost(message, tag = "10")]
    History(HistoryRequest),
    /// A sign of life that wants an answer.
    #[prost(message, tag = "11")]
    Ping(PingRequest),
    /// Data for the server; no reply.
    #[prost(message, tag = "12")]
    Send(SendRequest),
    /// A method by name.
    #[prost(message, tag = "13")]
    Rpc(RpcRequest),
    /// A new token for the connection.
    #[prost(message, tag = "14")]
    Refresh(RefreshRequest),
    /// A new token for one subscription.
    #[prost(message, tag = "15")]
    SubRefresh(SubRefreshRequest),
}

impl Method {
    /// Its name on the wire, in logs and in metric labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Method::Connect(_) => "connect",
            Method::Subscribe(_) => "subscribe",
            Method::Unsubscribe(_) => "unsubscribe",
            Method::Publish(_) => "publish",
            Method::Presence(_) => "presence",
            Method::PresenceStats(_) => "presence_stats",
            Method::History(_) => "history",
            Method::Ping(_) => "ping",
            Method::Send(_) => "send",
            Method::Rpc(_) => "rpc",
            Method::Refresh(_) => "refresh",
            Method::SubRefresh(_) => "sub_refresh",
        }
    }
}

tagged! {
    Command { Id => id } method: Method {
        Connect, Subscribe, Unsubscribe, Publish, Presence, PresenceStats, History, Ping,
        Send, Rpc, Refresh, SubRefresh,
    }
}

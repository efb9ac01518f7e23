//! What a client says: the commands of the centrifuge protocol v2.
//!
//! Field names and Protobuf tags are centrifuge's, so that its SDKs are understood. In JSON a
//! missing field has its default; an unknown field is ignored in both encodings.

use serde::{Deserialize, Serialize};

use crate::raw::is_default;
use crate::request::{
    ConnectRequest, HistoryRequest, PingRequest, PresenceRequest, PresenceStatsRequest,
    PublishRequest, RefreshRequest, RpcRequest, SendRequest, SubRefreshRequest, SubscribeRequest,
    UnsubscribeRequest,
};

/// One thing asked for. Neither id nor method: the answer to a ping.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(try_from = "Written")]
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

/// A command as JSON has it: a field for each method.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    id: u32,
    connect: Option<ConnectRequest>,
    subscribe: Option<SubscribeRequest>,
    unsubscribe: Option<UnsubscribeRequest>,
    publish: Option<PublishRequest>,
    presence: Option<PresenceRequest>,
    presence_stats: Option<PresenceStatsRequest>,
    history: Option<HistoryRequest>,
    ping: Option<PingRequest>,
    send: Option<SendRequest>,
    rpc: Option<RpcRequest>,
    refresh: Option<RefreshRequest>,
    sub_refresh: Option<SubRefreshRequest>,
}

impl TryFrom<Written> for Command {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let mut methods = [
            written.connect.map(Method::Connect),
            written.subscribe.map(Method::Subscribe),
            written.unsubscribe.map(Method::Unsubscribe),
            written.publish.map(Method::Publish),
            written.presence.map(Method::Presence),
            written.presence_stats.map(Method::PresenceStats),
            written.history.map(Method::History),
            written.ping.map(Method::Ping),
            written.send.map(Method::Send),
            written.rpc.map(Method::Rpc),
            written.refresh.map(Method::Refresh),
            written.sub_refresh.map(Method::SubRefresh),
        ]
        .into_iter()
        .flatten();
        let method = methods.next();
        match (&method, methods.next()) {
            (Some(one), Some(other)) => {
                let (one, other) = (one.name(), other.name());
                Err(format!("must have one method, got {one} and {other}"))
            }
            _ => Ok(Self {
                id: written.id,
                method,
            }),
        }
    }
}

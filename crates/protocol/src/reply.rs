//! What a server says: an answer to one command, or a push.

use serde::{Deserialize, Serialize};

use crate::code::{Code, Refusal};
use crate::push::Push;
use crate::raw::is_default;
use crate::result::{
    ConnectResult, HistoryResult, PingResult, PresenceResult, PresenceStatsResult, PublishResult,
    RefreshResult, RpcResult, SubRefreshResult, SubscribeResult, UnsubscribeResult,
};
use crate::tagged::tagged;

/// One thing said by the server. Neither id nor outcome: a ping, to be answered with
/// [`Command::pong`](crate::command::Command::pong) if the connect result asked for it.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct Reply {
    /// The id of the command that this answers; 0 for a push or a ping.
    #[prost(uint32, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub id: u32,
    /// How it went. `None` beside an id is a result that this version does not know.
    #[prost(
        oneof = "Outcome",
        tags = "2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15"
    )]
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

impl Reply {
    /// The answer to the command `id`.
    #[must_use]
    pub fn new(id: u32, outcome: Outcome) -> Self {
        Self {
            id,
            outcome: Some(outcome),
        }
    }

    /// The refusal of the command `id`.
    #[must_use]
    pub fn refusal(id: u32, refusal: &Refusal) -> Self {
        Self::new(id, Outcome::Error(Error::from(refusal)))
    }

    /// A ping.
    #[must_use]
    pub fn ping() -> Self {
        Self::default()
    }

    /// Whether this is a ping.
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.id == 0 && self.outcome.is_none()
    }
}

/// What can be said.
#[derive(Clone, PartialEq, prost::Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The command was refused.
    #[prost(message, tag = "2")]
    Error(Error),
    /// Something happened.
    #[prost(message, tag = "4")]
    Push(Push),
    /// The session is open.
    #[prost(message, tag = "5")]
    Connect(ConnectResult),
    /// The subscription is live.
    #[prost(message, tag = "6")]
    Subscribe(SubscribeResult),
    /// The subscription is over.
    #[prost(message, tag = "7")]
    Unsubscribe(UnsubscribeResult),
    /// The data is published.
    #[prost(message, tag = "8")]
    Publish(PublishResult),
    /// Who is subscribed.
    #[prost(message, tag = "9")]
    Presence(PresenceResult),
    /// How many are subscribed.
    #[prost(message, tag = "10")]
    PresenceStats(PresenceStatsResult),
    /// Past publications.
    #[prost(message, tag = "11")]
    History(HistoryResult),
    /// The sign of life wanted.
    #[prost(message, tag = "12")]
    Ping(PingResult),
    /// What the method gave.
    #[prost(message, tag = "13")]
    Rpc(RpcResult),
    /// The connection goes on.
    #[prost(message, tag = "14")]
    Refresh(RefreshResult),
    /// The subscription goes on.
    #[prost(message, tag = "15")]
    SubRefresh(SubRefreshResult),
}

/// Why a command was refused.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Error {
    /// The client's next move: see [`Code`].
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// For people. Always written, as centrifuge-python reads it unasked.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Whether the same command may succeed later.
    #[prost(bool, tag = "3")]
    #[serde(skip_serializing_if = "is_default")]
    pub temporary: bool,
}

impl From<&Refusal> for Error {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.number(),
            message: refusal.message.clone(),
            temporary: refusal.code.is_temporary(),
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self {
            code: code.number(),
            message: code.slug().replace('_', " "),
            temporary: code.is_temporary(),
        }
    }
}

tagged! {
    Reply { Id => id } outcome: Outcome {
        Error, Push, Connect, Subscribe, Unsubscribe, Publish, Presence, PresenceStats,
        History, Ping, Rpc, Refresh, SubRefresh,
    }
}

//! What an application's handle asks of the task that holds the connection.

use chinwag_protocol::command::Method;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::StreamPosition;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::notice::Subscribed;
use crate::outbox::Letter;

/// Where the answer goes. Nobody may be waiting any more.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Something asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A command that fails with the connection.
    Call(Method, Answer<Outcome>),
    /// A command that nothing answers.
    Tell(Method),
    /// A room, until further notice.
    Subscribe(String, Subscription, Answer<Subscribed>),
    /// A room no more.
    Unsubscribe(String, Answer<()>),
    /// A message, whatever happens to the connection.
    Message(Letter, Answer<Sent>),
    /// Another token, for this connection and those after it.
    Refresh(String, Answer<Outcome>),
}

/// How to subscribe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Where to go on; at the top if absent.
    pub since: Option<StreamPosition>,
    /// Permission, where the channel wants one.
    pub token: String,
    /// Whether joins and leaves are wanted.
    pub joins: bool,
}

/// A message that the server has taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// The sender's name for it.
    pub id: String,
    /// Its sequence in the room.
    pub seq: u64,
    /// The epoch of the sequence.
    pub epoch: String,
    /// Milliseconds since 1970, by Redis's clock.
    pub time: u64,
    /// How safe it is: `accepted`.
    pub durability: String,
    /// Whether it had been taken before, and this is the first answer again.
    pub duplicate: bool,
}

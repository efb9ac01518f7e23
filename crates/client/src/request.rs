//! What an application's handle asks of the task that holds the connection.

use chinwag_protocol::command::Method;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::StreamPosition;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::message::{Message, Sent};
use crate::notice::Subscribed;

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
    Message(Message, Answer<Sent>),
    /// To be told when every message is durable.
    Settle(Answer<()>),
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

//! An application's handle on its connection to a server.

use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::command::Method;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::{
    HistoryRequest, PresenceRequest, PresenceStatsRequest, PublishRequest, RpcRequest, SendRequest,
};
use chinwag_protocol::result::{HistoryResult, PresenceResult, PresenceStatsResult, RefreshResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::connect::Options;
use crate::connection::unexpected;
use crate::driver::Driver;
use crate::error::Error;
use crate::message::{Level, Message, Sent};
use crate::notice::{Notices, Subscribed};
use crate::reconnect::Addresses;
use crate::request::{Answer, Request, Subscription};
use crate::session::Session;

/// Most requests on their way to the task. When full, whoever asks waits.
const REQUESTS: usize = 256;

/// A handle on one client. Clones share the client; it ends when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    call_timeout: Duration,
    ack: Option<Level>,
}

impl Client {
    /// Connects, and comes back whenever the connection is lost.
    ///
    /// # Errors
    /// If the first attempt fails: `Option`, `Unreachable`, `Refused`, `Closed`, `Reply`,
    /// `Timeout`. There is no client then.
    pub async fn connect(options: Options) -> Result<(Self, Notices), Error> {
        let (sender, first) = oneshot::channel();
        let (client, notices) = Self::spawn(options, Some(sender));
        first.await.map_err(|_| Error::Ended)??;
        Ok((client, notices))
    }

    /// Begins to connect, and goes on trying. What is asked meanwhile waits.
    #[must_use]
    pub fn start(options: Options) -> (Self, Notices) {
        Self::spawn(options, None)
    }

    fn spawn(
        options: Options,
        first: Option<oneshot::Sender<Result<(), Error>>>,
    ) -> (Self, Notices) {
        // Full: whoever asks waits, for at most the call timeout.
        let (requests, asked) = mpsc::channel(REQUESTS);
        // Full: the task reads no more from the network.
        let (told, receiver) = mpsc::channel(options.notices.max(1));
        let (call_timeout, ack) = (options.call_timeout, options.ack);
        let driver = Driver {
            session: Session::new(&options),
            addresses: Addresses::new(&options),
            options,
            requests: asked,
            notices: told,
            first,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "no service: the task ends with the client's last handle"
        )]
        tokio::spawn(driver.run());
        let client = Self {
            requests,
            call_timeout,
            ack,
        };
        (client, Notices::new(receiver))
    }

    /// Sends a message to a chat room and waits for the acknowledgement, for as long as it takes:
    /// the message is sent again, under the same id, over as many connections as need be. Dropping
    /// the future does not take the message back. A room's messages go out in the order of the
    /// calls.
    ///
    /// The client keeps the message beyond the acknowledgement, and sends it again where it may
    /// have been lost, until it is durable: see [`Sent::durable`].
    ///
    /// # Errors
    /// `Reply` if the server will not have it; `Full` if too many are not durable yet;
    /// `Malformed`; `Ended`.
    pub async fn send_message<B: Serialize + ?Sized>(
        &self,
        room: impl Into<String>,
        body: &B,
    ) -> Result<Sent, Error> {
        let id = Uuid::now_v7().to_string();
        self.send_message_as(id, room, body).await
    }

    /// Sends a message under an id of the application's, which makes it safe to send again even
    /// after the application itself has ended in between.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn send_message_as<B: Serialize + ?Sized>(
        &self,
        id: impl Into<String>,
        room: impl Into<String>,
        body: &B,
    ) -> Result<Sent, Error> {
        self.send_whole(Message {
            room: room.into(),
            id: id.into(),
            body: json(body)?,
            ack: self.ack,
        })
        .await
    }

    /// Sends a message of which the application decides everything.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn send_whole(&self, message: Message) -> Result<Sent, Error> {
        let (answer, sent) = oneshot::channel();
        let request = Request::Message(message, answer);
        self.requests
            .send(request)
            .await
            .map_err(|_| Error::Ended)?;
        sent.await.map_err(|_| Error::Ended)?
    }

    /// Waits until every message is durable, for as long as it takes. To be called before the
    /// last handle is dropped: what is not durable then is not sent again by anybody.
    ///
    /// # Errors
    /// `Ended`.
    pub async fn settled(&self) -> Result<(), Error> {
        let (answer, settled) = oneshot::channel();
        let request = Request::Settle(answer);
        self.requests
            .send(request)
            .await
            .map_err(|_| Error::Ended)?;
        settled.await.map_err(|_| Error::Ended)?
    }

    /// Subscribes to a channel, now and after each reconnection, going on where it stood. A
    /// channel that the server has subscribed this client to is subscribed already.
    ///
    /// # Errors
    /// `Reply` if the server will not; `Timeout`, while it goes on trying; `Ended`.
    pub async fn subscribe(
        &self,
        room: impl Into<String>,
        how: Subscription,
    ) -> Result<Subscribed, Error> {
        self.ask(|answer| Request::Subscribe(room.into(), how, answer))
            .await
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// `Reply`, `Timeout`, `Ended`.
    pub async fn unsubscribe(&self, room: impl Into<String>) -> Result<(), Error> {
        self.ask(|answer| Request::Unsubscribe(room.into(), answer))
            .await
    }

    /// Publishes JSON into a channel.
    ///
    /// # Errors
    /// `Reply`, `Closed`, `Timeout`, `Malformed`, `Full`, `Ended`.
    pub async fn publish<D: Serialize + ?Sized>(
        &self,
        channel: impl Into<String>,
        data: &D,
    ) -> Result<(), Error> {
        let (channel, data) = (channel.into(), json(data)?);
        let method = Method::Publish(PublishRequest { channel, data });
        match self.call(method).await? {
            Outcome::Publish(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Past publications of a channel.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn history(&self, request: HistoryRequest) -> Result<HistoryResult, Error> {
        match self.call(Method::History(request)).await? {
            Outcome::History(result) => Ok(result),
            other => Err(unexpected(&other)),
        }
    }

    /// Who is subscribed to a channel.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn presence(&self, channel: impl Into<String>) -> Result<PresenceResult, Error> {
        let channel = channel.into();
        match self
            .call(Method::Presence(PresenceRequest { channel }))
            .await?
        {
            Outcome::Presence(result) => Ok(result),
            other => Err(unexpected(&other)),
        }
    }

    /// How many are subscribed to a channel.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn presence_stats(
        &self,
        channel: impl Into<String>,
    ) -> Result<PresenceStatsResult, Error> {
        let channel = channel.into();
        let method = Method::PresenceStats(PresenceStatsRequest { channel });
        match self.call(method).await? {
            Outcome::PresenceStats(result) => Ok(result),
            other => Err(unexpected(&other)),
        }
    }

    /// Calls a method by name.
    ///
    /// # Errors
    /// As [`Client::publish`]. `Malformed` also if the result is not what was expected.
    pub async fn rpc<Q, A>(&self, method: impl Into<String>, argument: &Q) -> Result<A, Error>
    where
        Q: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let (method, data) = (method.into(), json(argument)?);
        match self.call(Method::Rpc(RpcRequest { data, method })).await? {
            Outcome::Rpc(result) => serde_json::from_slice(&result.data)
                .map_err(|error| Error::Malformed(error.to_string())),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells the server something that it does not answer. Lost if there is no connection.
    ///
    /// # Errors
    /// `Malformed`, `Ended`.
    pub async fn send<D: Serialize + ?Sized>(&self, data: &D) -> Result<(), Error> {
        let request = Request::Tell(Method::Send(SendRequest { data: json(data)? }));
        self.requests.send(request).await.map_err(|_| Error::Ended)
    }

    /// Gives the server another token, which is also used for the connections to come.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn refresh(&self, token: impl Into<String>) -> Result<RefreshResult, Error> {
        let token = token.into();
        match self.ask(|answer| Request::Refresh(token, answer)).await? {
            Outcome::Refresh(result) => Ok(result),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends any command that has a result.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn call(&self, method: Method) -> Result<Outcome, Error> {
        self.ask(|answer| Request::Call(method, answer)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        let asking = async {
            let asked = self.requests.send(request(sender)).await;
            asked.map_err(|_| Error::Ended)?;
            answer.await.map_err(|_| Error::Ended)?
        };
        timeout(self.call_timeout, asking)
            .await
            .map_err(|_| Error::Timeout)?
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| Error::Malformed(error.to_string()))
}

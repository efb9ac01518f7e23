//! One WebSocket, command by command: for tests that want to say odd things, for load tools that
//! want little between themselves and the wire, and under the [`Client`](crate::client::Client).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chinwag_protocol::codec::{Encoding, Limits};
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::Push;
use chinwag_protocol::reply::{Outcome, Reply};
use chinwag_protocol::result::ConnectResult;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use tokio_tungstenite::tungstenite::{self, Message};

use crate::connect::Options;
use crate::error::{Closed, Error};

/// Most replies and pushes set aside while something else was waited for.
const ASIDE: usize = 65_536;

/// One WebSocket.
///
/// A call sets aside what else arrives meanwhile, in order; [`Connection::receive`] gives that
/// first. Pings are answered, while something is received, and never shown.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<TcpStream>,
    encoding: Encoding,
    call_timeout: Duration,
    next_id: u32,
    /// Set aside while something else was waited for.
    aside: VecDeque<Reply>,
    /// The rest of the last frame.
    decoded: VecDeque<Reply>,
    /// Commands encoded, but not written yet.
    frame: BytesMut,
    pongs: Pongs,
    pong_due: bool,
    flush_due: bool,
    /// How it ended, if it has.
    closed: Option<Closed>,
}

/// Whether pings are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pongs {
    /// If the server asked for it when connecting.
    AsAsked,
    /// Always.
    Always,
    /// Never: a peer that seems dead.
    Never,
}

impl Connection {
    /// Opens a WebSocket and says nothing.
    ///
    /// # Errors
    /// `Option`, `Unreachable`, `Refused`, `Closed`.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            socket: options.open().await?,
            encoding: options.encoding,
            call_timeout: options.call_timeout,
            next_id: 0,
            aside: VecDeque::new(),
            decoded: VecDeque::new(),
            frame: BytesMut::new(),
            pongs: Pongs::AsAsked,
            pong_due: false,
            flush_due: false,
            closed: None,
        })
    }

    /// Opens a WebSocket and a session on it.
    ///
    /// # Errors
    /// As [`Connection::open`] and [`Connection::call`].
    pub async fn connect(options: &Options) -> Result<(Self, ConnectResult), Error> {
        let mut connection = Self::open(options).await?;
        let method = Method::Connect(options.connect_request());
        match connection.call(method).await? {
            Outcome::Connect(result) => Ok((connection, result)),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether to answer pings from now on. As asked, unless told otherwise.
    pub fn answer_pings(&mut self, pongs: Pongs) {
        self.pongs = pongs;
    }

    /// An id for a command that is made by hand.
    pub fn next_id(&mut self) -> u32 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    /// Sends one command and gives its id.
    ///
    /// # Errors
    /// `Malformed`, `Closed`, `Timeout`.
    pub async fn send(&mut self, method: Method) -> Result<u32, Error> {
        let id = self.next_id();
        self.queue(&Command::new(id, method))?;
        self.flush().await?;
        Ok(id)
    }

    /// Adds a command to the next frame.
    ///
    /// # Errors
    /// `Malformed` if it cannot be said in this encoding.
    pub fn queue(&mut self, command: &Command) -> Result<(), Error> {
        Ok(self.encoding.encode_command(command, &mut self.frame)?)
    }

    /// The bytes of the next frame so far.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.frame.len()
    }

    /// Sends the queued commands, all in one frame.
    ///
    /// # Errors
    /// `Closed`, `Timeout`.
    pub async fn flush(&mut self) -> Result<(), Error> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let frame = self.frame.split().freeze();
        match self.encoding {
            Encoding::Json => self.send_text(frame).await,
            Encoding::Protobuf => self.send_binary(frame).await,
        }
    }

    /// Sends a text frame of any bytes, be they UTF-8 or not.
    ///
    /// # Errors
    /// `Closed`, `Timeout`.
    pub async fn send_text(&mut self, frame: impl Into<Bytes>) -> Result<(), Error> {
        let frame = Frame::message(frame, OpCode::Data(Data::Text), true);
        self.send_message(Message::Frame(frame)).await
    }

    /// Sends a binary frame of any bytes.
    ///
    /// # Errors
    /// `Closed`, `Timeout`.
    pub async fn send_binary(&mut self, frame: impl Into<Bytes>) -> Result<(), Error> {
        self.send_message(Message::Binary(frame.into())).await
    }

    /// Sends any WebSocket message.
    ///
    /// # Errors
    /// `Closed`, `Timeout`.
    pub async fn send_message(&mut self, message: Message) -> Result<(), Error> {
        let sent = timeout(self.call_timeout, self.socket.send(message)).await;
        sent.map_err(|_| Error::Timeout)?.map_err(Error::from)
    }

    /// Sends a command and waits for its result, for at most the call timeout.
    ///
    /// # Errors
    /// `Reply` if it is refused; `Malformed`, `Closed`, `Timeout`.
    pub async fn call(&mut self, method: Method) -> Result<Outcome, Error> {
        let id = self.send(method).await?;
        self.reply(id).await
    }

    /// Waits for the result of the command `id`, for at most the call timeout.
    ///
    /// # Errors
    /// `Reply` if it is refused; `Malformed`, `Closed`, `Timeout`.
    pub async fn reply(&mut self, id: u32) -> Result<Outcome, Error> {
        let reply = self.wait_for(|reply| reply.id == id).await?;
        match reply.outcome {
            Some(Outcome::Error(error)) => Err(error.into()),
            Some(outcome) => Ok(outcome),
            None => Err(Error::Malformed("reply without a result".to_owned())),
        }
    }

    /// Waits for the next push, for at most the call timeout.
    ///
    /// # Errors
    /// `Malformed`, `Closed`, `Timeout`.
    pub async fn push(&mut self) -> Result<Push, Error> {
        let is_push = |reply: &Reply| matches!(reply.outcome, Some(Outcome::Push(_)));
        match self.wait_for(is_push).await?.outcome {
            Some(Outcome::Push(push)) => Ok(push),
            _ => Err(Error::Malformed("reply without a push".to_owned())),
        }
    }

    /// Waits for the server to close the connection, for at most the call timeout, and drops
    /// what else it says.
    ///
    /// # Errors
    /// `Malformed`, `Timeout`.
    pub async fn closed(&mut self) -> Result<Closed, Error> {
        let most = self.call_timeout;
        let closing = async {
            loop {
                match self.receive().await {
                    Ok(_) => {}
                    Err(Error::Closed(closed)) => return Ok(closed),
                    Err(error) => return Err(error),
                }
            }
        };
        timeout(most, closing).await.map_err(|_| Error::Timeout)?
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Reply) -> bool) -> Result<Reply, Error> {
        let found = self.aside.iter().position(&wanted);
        if let Some(reply) = found.and_then(|at| self.aside.remove(at)) {
            return Ok(reply);
        }
        let most = self.call_timeout;
        let waiting = async {
            loop {
                let reply = self.read().await?;
                if wanted(&reply) {
                    return Ok(reply);
                }
                if self.aside.len() >= ASIDE {
                    return Err(Error::Malformed(
                        "server talks and never answers".to_owned(),
                    ));
                }
                self.aside.push_back(reply);
            }
        };
        timeout(most, waiting).await.map_err(|_| Error::Timeout)?
    }

    /// The next reply or push. Safe to cancel: nothing is lost.
    ///
    /// # Errors
    /// `Closed` when the connection has ended, again and again.
    pub async fn receive(&mut self) -> Result<Reply, Error> {
        match self.aside.pop_front() {
            Some(reply) => Ok(reply),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Reply, Error> {
        loop {
            while let Some(reply) = self.decoded.pop_front() {
                if !reply.is_ping() {
                    self.learn(&reply);
                    return Ok(reply);
                }
                self.pong_due = self.pongs == Pongs::Always;
            }
            if let Some(closed) = &self.closed {
                return Err(Error::Closed(closed.clone()));
            }
            if let Err(closed) = self.read_frame().await {
                self.closed = Some(closed);
            }
        }
    }

    /// Whether this server wants pongs is said when connecting.
    fn learn(&mut self, reply: &Reply) {
        if let (Some(Outcome::Connect(result)), Pongs::AsAsked) = (&reply.outcome, self.pongs)
            && result.pong
        {
            self.pongs = Pongs::Always;
        }
    }

    /// Takes one WebSocket message from the network, after answering the last ping. May be
    /// cancelled at each await and begun again.
    async fn read_frame(&mut self) -> Result<(), Closed> {
        let broken = |error: tungstenite::Error| Closed::abnormal(error.to_string());
        if self.pong_due {
            let pong = match self.encoding {
                Encoding::Json => Message::text("{}"),
                Encoding::Protobuf => Message::Binary(self.encoding.ping()),
            };
            self.socket.feed(pong).await.map_err(broken)?;
            (self.pong_due, self.flush_due) = (false, true);
        }
        if self.flush_due {
            self.socket.flush().await.map_err(broken)?;
            self.flush_due = false;
        }
        let data = match self.socket.next().await {
            Some(Ok(Message::Close(frame))) => return Err(Closed::from(frame)),
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message.into_data(),
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => return Err(broken(error)),
            None => return Err(Closed::abnormal("connection ended")),
        };
        for reply in self.encoding.decode_replies(&data, Limits::CLIENT) {
            match reply {
                Ok(reply) => self.decoded.push_back(reply),
                Err(error) => return Err(Closed::abnormal(format!("malformed reply: {error}"))),
            }
        }
        Ok(())
    }

    /// Closes the connection in order, and waits for the peer to agree, for at most the call
    /// timeout.
    ///
    /// # Errors
    /// `Closed` if it was already, `Timeout`.
    pub async fn close(&mut self) -> Result<(), Error> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let closing = self.socket.close(Some(frame));
        let closed = timeout(self.call_timeout, closing).await;
        closed.map_err(|_| Error::Timeout)?.map_err(Error::from)
    }
}

pub(crate) fn unexpected(outcome: &Outcome) -> Error {
    let mut said = format!("{outcome:?}");
    let end = said
        .char_indices()
        .nth(200)
        .map_or(said.len(), |(at, _)| at);
    said.truncate(end);
    Error::Malformed(format!("unexpected result: {said}"))
}

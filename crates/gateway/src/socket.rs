//! The task of one WebSocket: reads commands, writes what waits, keeps time, and cleans up.
//!
//! It never waits for its peer alone: what the peer does not take now is written when it does, and
//! meanwhile it is heard, and its commands are answered.

mod end;
mod wire;

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::code::Close;
use chinwag_protocol::codec::{DecodeError, Encoding, Limits};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, poll};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::behind;
use crate::command;
use crate::connection::Connection;
use crate::outbox::Worth;
use crate::rate::Rate;
use crate::shard::Shard;
use crate::socket::end::{End, close_reason, failed, told};
use crate::socket::wire::{Exchanged, exchange, write};
use crate::subscription;
use crate::timer::{Due, Timer};

pub(crate) use crate::socket::wire::Stream;

/// Commands of one connection under way at once; then its socket is not read from.
const UNDER_WAY: usize = 128;
/// How long saying goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is read from a peer who broke the rules, so that it reads why it is closed.
const DISCARDED: usize = 256 * 1024;

/// A socket and what belongs to it while it is open.
struct Socket {
    shard: Rc<Shard>,
    connection: Rc<Connection>,
    stream: Stream,
    under_way: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    /// Reads what it has missed in a room in which it is behind.
    reading_on: Option<LocalBoxFuture<'static, ()>>,
    rate: Rate,
    timer: Timer,
    /// Nothing more can be read as messages.
    is_broken: bool,
}

/// All that can happen to a socket.
enum Happening {
    Exchanged(Exchanged),
    Answered,
    ReadOn,
    Waiting,
    Due,
    Closing,
}

/// Serves a connection until it ends, and leaves nothing of it behind.
pub(crate) async fn serve(shard: Rc<Shard>, connection: Rc<Connection>, stream: Stream) {
    let config = &shard.backend.config;
    let _serving = shard.serve();
    shard.add(&connection);
    metrics::counter!("chinwag_gateway_connects_total", "encoding" => connection.encoding.name())
        .increment(1);
    let mut socket = Socket {
        rate: Rate::new(config.commands_per_second),
        timer: Timer::new(config, connection.number),
        shard: Rc::clone(&shard),
        connection: Rc::clone(&connection),
        stream,
        under_way: FuturesUnordered::new(),
        is_broken: false,
        reading_on: None,
    };
    let end = socket.talk().await;
    socket.reading_on = None;
    Box::pin(clean_up(&shard, &connection)).await;
    let code = match &end {
        End::Gone => 1000,
        End::Close(code, _) => *code,
    };
    // Codes are ours or an operator's, so the label set is closed in practice; others are one.
    let label = if (3000..4000).contains(&code) {
        code.to_string()
    } else {
        "other".to_owned()
    };
    let label = if code == 1000 {
        "gone".to_owned()
    } else {
        label
    };
    metrics::counter!("chinwag_gateway_disconnects_total", "code" => label).increment(1);
    tracing::debug!(client = %connection.client, code, "connection ended");
    Box::pin(socket.part(end)).await;
}

async fn clean_up(shard: &Rc<Shard>, connection: &Rc<Connection>) {
    connection.goes();
    let rooms: Vec<_> = connection.subscriptions.borrow().keys().cloned().collect();
    for room in rooms {
        subscription::end(shard, connection, &room);
    }
    shard.remove(connection);
    if let Some(user) = connection.user().filter(|_| connection.session_open.take()) {
        let last_here = shard.gate.user_went(&user);
        let name = shard.identity.now();
        let store = &shard.backend.store;
        if let Err(error) = store
            .close_session(&name, &user, &connection.client, last_here)
            .await
        {
            shard.identity.doubts.undone();
            tracing::warn!(%error, "cannot end a session in Redis");
        }
    }
}

impl Socket {
    async fn talk(&mut self) -> End {
        loop {
            self.read_on();
            // A peer that does not take its answers is asked nothing more, and asks nothing more.
            let answers = !self.connection.outbox.is_choked();
            let reads = answers && self.under_way.len() < UNDER_WAY;
            if !reads {
                self.stream.get_mut().pardon();
            }
            let pressed = self.timer.is_pressed();
            let happening = tokio::select! {
                biased;
                () = self.connection.closed() => Happening::Closing,
                Some(()) = self.under_way.next(), if answers => Happening::Answered,
                () = finished(&mut self.reading_on) => Happening::ReadOn,
                () = self.connection.outbox.filled(), if !pressed => Happening::Waiting,
                exchanged = exchange(&mut self.stream, pressed, reads) => Happening::Exchanged(exchanged),
                () = self.timer.due() => Happening::Due,
            };
            if let Err(end) = self.handle(happening).await {
                return end;
            }
        }
    }

    /// Begins to read what it has missed, if there is room for it.
    fn read_on(&mut self) {
        let connection = &self.connection;
        if connection.behind.waits() && self.reading_on.is_none() && connection.outbox.is_low() {
            let read = behind::read_on(Rc::clone(&self.shard), Rc::clone(connection));
            self.reading_on = Some(Box::pin(read));
        }
    }

    async fn handle(&mut self, happening: Happening) -> Result<(), End> {
        match happening {
            Happening::Exchanged(Exchanged::Read(frame)) => {
                self.frame(frame).await?;
                // A peer that is never silent is looked at too.
                self.due()
            }
            Happening::Exchanged(Exchanged::Written(written)) => {
                written.map_err(|error| failed(&error))?;
                self.write().await
            }
            Happening::Answered => Ok(()),
            Happening::ReadOn => {
                self.reading_on = None;
                Ok(())
            }
            Happening::Waiting => {
                self.write().await?;
                if self.under_way.len() < UNDER_WAY
                    && let Poll::Ready(frame) = poll!(self.stream.next())
                {
                    self.frame(frame).await?;
                }
                Ok(())
            }
            Happening::Due => self.due(),
            Happening::Closing => {
                // What was said before goes out before.
                let rest = async {
                    while self.write().await.is_ok() {
                        if self.timer.is_pressed() {
                            exchange(&mut self.stream, true, false).await;
                        } else if self.connection.outbox.bytes() == 0 {
                            break;
                        }
                    }
                };
                drop(Box::pin(timeout(CLOSE_TIMEOUT, rest)).await);
                Err(told(&self.connection))
            }
        }
    }

    async fn frame(&mut self, frame: Option<Result<Message, Error>>) -> Result<(), End> {
        let message = match frame {
            None => return Err(End::Gone),
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                self.is_broken = true;
                return Err(failed(&error));
            }
        };
        self.timer.heard();
        let text = self.connection.encoding == Encoding::Json;
        match message {
            Message::Text(data) if text => self.commands(data.into()).await,
            Message::Binary(data) if !text => self.commands(data).await,
            Message::Text(_) | Message::Binary(_) => Err(Close::BadRequest.into()),
            Message::Close(_) => Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    async fn commands(&mut self, frame: Bytes) -> Result<(), End> {
        let encoding = self.connection.encoding;
        let mut is_empty = true;
        for command in encoding.decode_commands(&frame, Limits::SERVER) {
            is_empty = false;
            let command = match command {
                Ok(command) => command,
                Err(error @ DecodeError::Frame { .. }) => {
                    tracing::debug!(client = %self.connection.client, %error, "malformed frame");
                    return Err(End::Close(Close::BadRequest.number(), close_reason(&error)));
                }
                Err(error @ DecodeError::Command { id, .. }) => {
                    if self.is_in_time(id)? {
                        self.connection.reply(id, Err(error.refusal()));
                    }
                    continue;
                }
            };
            if command.is_pong() {
                self.nothing()?;
                continue;
            }
            if !self.is_in_time(command.id)? {
                continue;
            }
            let later = command::handle(&self.shard, &self.connection, command).await?;
            // It takes its place in the queue, and its rights are looked at, before the next
            // command: that may be one to unsubscribe.
            if let Some(mut later) = later
                && poll!(&mut later).is_pending()
            {
                self.under_way.push(later);
            }
            if self.connection.caller().is_some() {
                self.timer.connected();
            }
        }
        if is_empty { self.nothing() } else { Ok(()) }
    }

    /// Whether a command is within the rate; if not, it is refused.
    fn is_in_time(&mut self, id: u32) -> Result<bool, End> {
        let Err(refusal) = self.rate.take() else {
            return Ok(true);
        };
        self.bear()?;
        self.connection.reply(id, Err(refusal));
        Ok(false)
    }

    /// What asks for nothing costs as much as a command, but cannot be refused.
    fn nothing(&mut self) -> Result<(), End> {
        match self.rate.take() {
            Ok(()) => Ok(()),
            Err(_) => self.bear(),
        }
    }

    /// Bears with somebody who is over the rate, for a while.
    fn bear(&mut self) -> Result<(), End> {
        if self.rate.bears() {
            return Ok(());
        }
        Err(End::Close(
            Close::TooManyRequests.number(),
            self.rate.limit(),
        ))
    }

    /// Writes some of what waits, in as few frames as it fits into. The rest has another turn.
    async fn write(&mut self) -> Result<(), End> {
        let text = self.connection.encoding == Encoding::Json;
        match write(&mut self.stream, &self.connection.outbox, text).await {
            Poll::Ready(Ok(())) => {
                self.timer.relieved();
                self.connection.outbox.remind();
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(failed(&error)),
            Poll::Pending => {
                self.timer.pressed(self.stream.get_ref().taken());
                Ok(())
            }
        }
    }

    fn due(&mut self) -> Result<(), End> {
        match self.timer.what_is_due(self.stream.get_ref().taken()) {
            Some(Due::Stalled) => Err(Close::Slow.into()),
            Some(Due::Connect) => Err(Close::Stale.into()),
            Some(Due::Pong) => Err(Close::NoPong.into()),
            Some(Due::Ping) => {
                if !self.timer.is_pressed() {
                    let ping = self.connection.encoding.ping();
                    self.connection.outbox.put(ping, Worth::Owed);
                }
                self.expire()
            }
            None => Ok(()),
        }
    }

    /// Ends what has run out. Looked at with each ping, which is the grace that refreshing has.
    fn expire(&self) -> Result<(), End> {
        let now = self.shard.backend.store.now();
        let caller = self.connection.caller();
        let grace = u64::try_from(self.shard.backend.config.ping_interval.as_millis()).unwrap_or(0);
        let over = |at: u64| at.saturating_add(grace) <= now;
        if caller
            .and_then(|caller| caller.expires_at)
            .is_some_and(over)
        {
            return Err(Close::Expired.into());
        }
        let expired: Vec<_> = self
            .connection
            .subscriptions
            .borrow()
            .iter()
            .filter(|(_, subscription)| subscription.expires_at.is_some_and(over))
            .map(|(room, _)| room.clone())
            .collect();
        for room in expired {
            self.shard.expire(&self.connection, &room);
        }
        Ok(())
    }

    /// Says goodbye, and gives answers that are under way a moment to be of use in Redis.
    async fn part(mut self, end: End) {
        if let End::Close(code, reason) = end {
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason: reason.into(),
            };
            let goodbye = async {
                drop(self.stream.close(Some(frame)).await);
                // The peer's answer, so that what was written is not lost with a reset.
                while let Some(Ok(_)) = self.stream.next().await {}
                if self.is_broken {
                    self.stream.get_mut().discard(DISCARDED).await;
                }
            };
            drop(timeout(CLOSE_TIMEOUT, goodbye).await);
        } else {
            // Answers the peer's own goodbye, if it said any.
            drop(timeout(CLOSE_TIMEOUT, self.stream.close(None)).await);
        }
        let rest = async { while self.under_way.next().await.is_some() {} };
        let limit = Instant::now() + CLOSE_TIMEOUT;
        drop(tokio::time::timeout_at(limit, rest).await);
    }
}

/// Waits for something that may not be under way.
async fn finished(future: &mut Option<LocalBoxFuture<'static, ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

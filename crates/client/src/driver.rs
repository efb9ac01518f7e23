//! The task that drives a session over one connection after another.

use std::time::Duration;

use chinwag_protocol::limit;
use chinwag_protocol::reply::Reply;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::connect::Options;
use crate::connection::Connection;
use crate::error::{Closed, Error};
use crate::notice::Notice;
use crate::reconnect::{Addresses, Backoff, comes_back};
use crate::request::Request;
use crate::session::Session;

/// Most requests taken before what they cause is sent, in one frame.
const REQUESTS_PER_TURN: usize = 64;

/// A frame is sent when it holds so many commands or bytes: half of what servers take.
const COMMANDS_PER_FRAME: usize = limit::COMMANDS_PER_FRAME / 2;
const BYTES_PER_FRAME: usize = limit::FRAME_BYTES / 4;

/// A connection that lasted this long was a good one: the next failure is a first failure.
const LASTED: Duration = Duration::from_secs(5);

/// Drives `session` until its application or its server ends it.
pub(crate) struct Driver {
    pub options: Options,
    pub addresses: Addresses,
    pub session: Session,
    pub requests: mpsc::Receiver<Request>,
    pub notices: mpsc::Sender<Notice>,
    /// Who waits for the first session to be open, and wants no second attempt at it.
    pub first: Option<oneshot::Sender<Result<(), Error>>>,
}

/// How a connection ended.
enum End {
    /// By the network or the server.
    Lost(Error),
    /// By the application: it has dropped its handles.
    Dropped,
}

/// What can happen to an open connection.
enum Turn {
    Asked(Option<Request>),
    Heard(Result<Reply, Error>),
    /// The application can take a notice.
    Listens,
    /// The server has said nothing for too long.
    Silence,
    /// Time to ask for what was put off.
    Again,
    /// Nothing was heard of a message for too long.
    Overdue,
}

impl Driver {
    pub async fn run(mut self) {
        loop {
            let begun = Instant::now();
            let error = match self.connection().await {
                End::Dropped => return self.session.end(&Error::Ended),
                End::Lost(error) => error,
            };
            let first = self.first.take();
            let returns = comes_back(&error) && first.is_none();
            debug!(%error, returns, "connection lost");
            self.session.lost(&error, returns);
            if let Some(first) = first {
                drop(first.send(Err(error.clone())));
            }
            if !returns {
                self.session.end(&error);
                return self.tell_all().await;
            }
            let lasted = begun.elapsed() > LASTED;
            let wait = self.addresses.failed(&error, lasted, self.options.backoff);
            if !self.pause(wait).await {
                return self.session.end(&Error::Ended);
            }
        }
    }

    /// One connection, from opening to end.
    async fn connection(&mut self) -> End {
        let mut connection = match self.open().await {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return End::Lost(error),
            None => return End::Dropped,
        };
        self.session.begin();
        let mut heard = Instant::now();
        let mut again = Again::default();
        loop {
            if let Err(error) = self.write(&mut connection).await {
                return End::Lost(error);
            }
            again.schedule(self.session.has_put_off(), self.options.backoff);
            let silence = self.session.silence().unwrap_or(self.options.open_timeout);
            let turn = self.turn(&mut connection, heard + silence, again.at).await;
            self.session.now = Instant::now().into_std();
            match turn {
                Turn::Asked(Some(request)) => self.take(request),
                Turn::Asked(None) => {
                    let _nobody_cares = connection.close().await;
                    return End::Dropped;
                }
                Turn::Heard(Ok(reply)) => {
                    heard = Instant::now();
                    if let Err(error) = self.session.heard(reply) {
                        return End::Lost(error);
                    }
                    self.opened();
                }
                Turn::Heard(Err(error)) => return End::Lost(error),
                Turn::Listens => {
                    self.tell();
                    // While nobody listened nothing was read.
                    heard = Instant::now();
                }
                Turn::Silence => {
                    let closed = Closed::abnormal("nothing heard for too long");
                    return End::Lost(Error::Closed(closed));
                }
                Turn::Again => {
                    again.at = None;
                    self.session.again();
                }
                Turn::Overdue => {
                    if let Err(error) = self.session.overdue() {
                        return End::Lost(error);
                    }
                }
            }
        }
    }

    /// Opens a connection, and takes requests meanwhile. `None` if there is nobody to make any.
    async fn open(&mut self) -> Option<Result<Connection, Error>> {
        let url = self.addresses.url().to_owned();
        self.session.url.clone_from(&url);
        let options = Options {
            url,
            ..self.options.clone()
        };
        let opening = Connection::open(&options);
        tokio::pin!(opening);
        loop {
            tokio::select! {
                opened = &mut opening => return Some(opened),
                request = self.requests.recv() => self.session.asked(request?),
            }
        }
    }

    async fn turn(
        &mut self,
        connection: &mut Connection,
        silence: Instant,
        again: Option<Instant>,
    ) -> Turn {
        // Who does not listen is not read for, so that what waits for him stays bounded.
        let listens = self.session.notices.is_empty();
        let due = self.session.due().map(Instant::from_std);
        tokio::select! {
            _ = self.notices.reserve(), if !listens => Turn::Listens,
            reply = connection.receive(), if listens => Turn::Heard(reply),
            request = self.requests.recv() => Turn::Asked(request),
            () = sleep_until(silence), if listens => Turn::Silence,
            () = sleep_until(again.unwrap_or(silence)), if again.is_some() => Turn::Again,
            () = sleep_until(due.unwrap_or(silence)), if due.is_some() && listens => Turn::Overdue,
        }
    }

    /// Takes a request, and those behind it.
    fn take(&mut self, request: Request) {
        self.session.asked(request);
        for _ in 1..REQUESTS_PER_TURN {
            match self.requests.try_recv() {
                Ok(request) => self.session.asked(request),
                // Also if the handles are gone: the next turn will see it.
                Err(_) => return,
            }
        }
    }

    /// Sends what the session wants said, in as few frames as the server's limits allow.
    async fn write(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let mut commands = 0;
        for command in self.session.commands.drain(..) {
            connection.queue(&command)?;
            commands += 1;
            if commands == COMMANDS_PER_FRAME || connection.queued() > BYTES_PER_FRAME {
                connection.flush().await?;
                commands = 0;
            }
        }
        connection.flush().await
    }

    /// Tells who waits for it that the session is open.
    fn opened(&mut self) {
        if self.session.is_open()
            && let Some(first) = self.first.take()
        {
            drop(first.send(Ok(())));
        }
    }

    /// Gives the application what it can take.
    fn tell(&mut self) {
        while let Some(notice) = self.session.notices.pop_front() {
            match self.notices.try_send(notice) {
                Ok(()) => {}
                Err(TrySendError::Full(notice)) => {
                    return self.session.notices.push_front(notice);
                }
                Err(TrySendError::Closed(_)) => self.session.notices.clear(),
            }
        }
    }

    /// Gives the application everything, if it listens.
    async fn tell_all(mut self) {
        for notice in self.session.notices.drain(..) {
            if self.notices.send(notice).await.is_err() {
                return;
            }
        }
    }

    /// Waits, and takes requests meanwhile. False if there is nobody to make any.
    async fn pause(&mut self, wait: Duration) -> bool {
        let over = Instant::now() + wait;
        loop {
            let waiting = !self.session.notices.is_empty();
            let turn = tokio::select! {
                () = sleep_until(over) => return true,
                request = self.requests.recv() => Turn::Asked(request),
                _ = self.notices.reserve(), if waiting => Turn::Listens,
            };
            match turn {
                Turn::Asked(Some(request)) => self.session.asked(request),
                Turn::Asked(None) => return false,
                _ => self.tell(),
            }
        }
    }
}

/// When to ask once more for what was put off.
#[derive(Default)]
struct Again {
    at: Option<Instant>,
    times: u32,
}

impl Again {
    fn schedule(&mut self, wanted: bool, backoff: Backoff) {
        if !wanted {
            *self = Self::default();
        } else if self.at.is_none() {
            self.at = Some(Instant::now() + backoff.wait(self.times));
            self.times += 1;
        }
    }
}

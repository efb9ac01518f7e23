//! One connection that listens on one server, until it ends: it never comes back by itself, because
//! what it listened to would not.
//!
//! A server that gives a slot away takes back the subscriptions to its channels unasked. The
//! library under us takes that for the answer to whatever was asked last, so from then on no
//! answer on this connection can be believed: it counts as ended.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, PushInfo, PushKind, ServerError, Value};

use crate::error::{Error, Result};
use crate::node;
use crate::route::Aim;

/// A connection, and what it listens to.
pub(crate) struct Line {
    connection: MultiplexedConnection,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    /// Channels that the server has confirmed.
    held: Mutex<HashSet<String>>,
    /// Channels that it was asked to stop telling of: only these may it take back.
    leaving: Mutex<HashSet<String>>,
}

/// What a channel could not be listened to for.
pub(crate) enum Refused {
    /// The server says who it is who tells of some of them, or that it does not.
    Server(ServerError),
    /// The connection is of no use.
    Broken(Error),
}

impl Line {
    /// Connects. `heard` takes what is published, in order; `ended` is called when no more comes.
    pub(crate) async fn open(
        client: &Client,
        config: AsyncConnectionConfig,
        verify: bool,
        heard: impl Fn(PushInfo) + Send + Sync + 'static,
        ended: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = Arc::new(State::default());
        let pushed = Arc::clone(&state);
        let push = move |push: PushInfo| -> Result<(), ()> {
            let is_over = match push.kind {
                PushKind::Disconnection => true,
                PushKind::SUnsubscribe | PushKind::Unsubscribe => !pushed.was_asked_for(&push),
                _ => false,
            };
            if is_over && !pushed.ended.swap(true, Ordering::AcqRel) {
                ended();
            }
            heard(push);
            Ok(())
        };
        let config = config.set_push_sender(push);
        let connection = node::open(client, &config, verify).await?;
        Ok(Self { connection, state })
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Acquire)
    }

    /// Whether it listens to a channel.
    pub(crate) fn holds(&self, channel: &str) -> bool {
        !self.has_ended() && locked(&self.state.held).contains(channel)
    }

    /// Listens to channels. Each is asked for by a command of its own, because one command cannot
    /// span slots.
    pub(crate) async fn subscribe(&self, channels: &[String]) -> Result<(), Refused> {
        let mut commands = redis::pipe();
        for channel in channels {
            let is_tagged = Aim::at(channel.as_bytes()).tagged;
            commands.cmd(if is_tagged { "SSUBSCRIBE" } else { "SUBSCRIBE" });
            commands.arg(channel);
        }
        let answers = self.send(&commands).await.map_err(Refused::Broken)?;
        let mut refused = None;
        for (channel, answer) in channels.iter().zip(answers) {
            match answer {
                Value::ServerError(error) => refused = Some(error),
                _ => drop(locked(&self.state.held).insert(channel.clone())),
            }
        }
        refused.map_or(Ok(()), |error| Err(Refused::Server(error)))
    }

    /// Stops listening to those of the channels that it listens to.
    pub(crate) async fn unsubscribe(&self, channels: &[String]) -> Result<()> {
        let mut commands = redis::pipe();
        for channel in channels.iter().filter(|channel| self.holds(channel)) {
            locked(&self.state.leaving).insert(channel.clone());
            let is_tagged = Aim::at(channel.as_bytes()).tagged;
            commands.cmd(if is_tagged {
                "SUNSUBSCRIBE"
            } else {
                "UNSUBSCRIBE"
            });
            commands.arg(channel);
        }
        if commands.is_empty() {
            return Ok(());
        }
        self.send(&commands).await.map(drop)
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&self) -> Result<()> {
        let mut commands = redis::pipe();
        commands.cmd("PING");
        self.send(&commands).await.map(drop)
    }

    async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>> {
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(commands, 0, commands.len());
        let answers = answers.await.map_err(|error| Error::of("listen", &error))?;
        if self.has_ended() {
            // These may be the answers to something else.
            return Err(Error::Unavailable(
                "the listening connection has ended".to_owned(),
            ));
        }
        Ok(answers)
    }
}

impl State {
    /// Whether the end of a subscription is what we wanted.
    fn was_asked_for(&self, push: &PushInfo) -> bool {
        let Some(Value::BulkString(channel)) = push.data.first() else {
            return false;
        };
        let Ok(channel) = std::str::from_utf8(channel) else {
            return false;
        };
        locked(&self.held).remove(channel);
        locked(&self.leaving).remove(channel)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One client: sends on time whatever happens, and writes down what it sees.

mod notes;
mod wander;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chinwag_client::client::Client;
use chinwag_client::connect::Options;
use chinwag_client::error::Error;
use chinwag_client::message::{Durable, Level as Reached, Sent};
use chinwag_client::reconnect::Backoff;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::chaos::stage::Stage;
use crate::check::history::{Level, What};
use notes::Notes;
pub(crate) use notes::message;
use wander::wander;

/// What a message says: which one it is, and when it was sent, by the run's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    pub sender: u32,
    pub n: u64,
    pub sent: u64,
    pub text: String,
}

/// How to play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub client: u32,
    /// The port of the proxy to connect to.
    pub door: u16,
    /// Time between two messages.
    pub pause: Duration,
}

/// What the one who directs the play says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Everybody sends.
    Play,
    /// Nobody sends any more.
    Listen,
    /// It is over.
    End,
}

/// Plays until the end. How many messages are not known to be durable.
///
/// # Errors
/// If it cannot begin.
pub(crate) async fn play(
    part: Part,
    stage: Arc<Stage>,
    mut act: watch::Receiver<Act>,
) -> Result<usize> {
    let options = options(part, &stage)?;
    let (client, mut notices) = Client::start(options);
    let rooms = rooms_of(&stage, part.client);
    let wandering = wander(Arc::clone(&stage), part.client, client.clone(), act.clone());
    tokio::pin!(wandering);
    let mut wanders = true;
    let mut player = Player {
        notes: Notes::new(part.client, Arc::clone(&stage)),
        part,
        stage,
        client,
        rooms,
        next: 0,
        sending: JoinSet::new(),
        keeping: JoinSet::new(),
    };
    // Not all at the same moment.
    let first = Instant::now() + part.pause.mul_f64(fastrand::f64());
    let mut beat = interval_at(first, part.pause);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let playing = *act.borrow_and_update() == Act::Play;
        tokio::select! {
            notice = notices.next() => match notice {
                Some(notice) => player.notes.take(notice),
                None => {
                    let why = player.notes.ended.unwrap_or_default();
                    anyhow::bail!("client {} has ended: {why}", part.client);
                }
            },
            _ = beat.tick(), if playing => player.send().await,
            Some(sent) = player.sending.join_next() => player.answered(sent?),
            Some(kept) = player.keeping.join_next() => player.kept(&kept?),
            () = &mut wandering, if wanders => wanders = false,
            changed = act.changed() => {
                if changed.is_err() || *act.borrow() == Act::End {
                    return Ok(player.sending.len() + player.keeping.len());
                }
            }
        }
    }
}

/// How a client connects: it never gives up, and notices soon that it should come again.
///
/// # Errors
/// If it has no account.
fn options(part: Part, stage: &Stage) -> Result<Options> {
    let account = stage
        .accounts
        .get(part.client as usize)
        .context("no account")?;
    let url = format!("ws://127.0.0.1:{}/connection/websocket", part.door);
    let mut options = Options::new(url, &account.token);
    // What is silent for this long is gone: the gateways are told to ping more often than that.
    options.ping_delay = Duration::from_secs(3);
    options.open_timeout = Duration::from_secs(5);
    options.backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2))?;
    options.notices = 4096;
    // All kinds of sender: those who are content with Redis, and those who are not.
    options.ack = match part.client % 4 {
        0 => Some(Reached::Archived),
        1 => Some(Reached::Accepted),
        _ => None,
    };
    options.mark_timeout = Duration::from_secs(5);
    Ok(options)
}

/// The rooms in which a client sends, by number and id.
fn rooms_of(stage: &Stage, client: u32) -> Vec<(u32, String)> {
    let rooms = (0u32..).zip(&stage.rooms);
    rooms
        .filter(|(_, room)| room.members.contains(&client))
        .map(|(number, room)| (number, room.id.clone()))
        .collect()
}

type Sending = Pin<Box<dyn Future<Output = Result<Sent, Error>> + Send>>;

/// A message and what became of it.
struct Answered {
    room: u32,
    n: u64,
    sent: u64,
    result: Result<Sent, Error>,
}

/// An acknowledged message and what became of it.
struct Kept {
    room: u32,
    n: u64,
    sent: u64,
    result: Result<Durable, Error>,
}

struct Player {
    part: Part,
    stage: Arc<Stage>,
    client: Client,
    notes: Notes,
    rooms: Vec<(u32, String)>,
    next: u64,
    sending: JoinSet<Answered>,
    /// Those that are acknowledged, until they are durable.
    keeping: JoinSet<Kept>,
}

impl Player {
    /// Sends the next message. It is on its way, in its order, when this returns; its answer may
    /// take as long as it likes.
    async fn send(&mut self) {
        let at = usize::try_from(self.next).unwrap_or(0) % self.rooms.len().max(1);
        let Some((room, id)) = self.rooms.get(at).cloned() else {
            return;
        };
        let n = self.next;
        self.next += 1;
        let sent = self
            .stage
            .recorder
            .note(self.part.client, What::Send { room, n });
        self.stage.pulse.sent();
        let body = Body {
            sender: self.part.client,
            n,
            sent,
            text: format!("message {n} of client {}", self.part.client),
        };
        let client = self.client.clone();
        let mut sending: Sending = Box::pin(async move { client.send_message(id, &body).await });
        let now = tokio::select! {
            biased;
            result = &mut sending => Some(result),
            () = std::future::ready(()) => None,
        };
        match now {
            Some(result) => self.answered(Answered {
                room,
                n,
                sent,
                result,
            }),
            None => {
                self.sending.spawn(async move {
                    let result = sending.await;
                    Answered {
                        room,
                        n,
                        sent,
                        result,
                    }
                });
            }
        }
    }

    fn answered(&mut self, answered: Answered) {
        let Answered {
            room,
            n,
            sent,
            result,
        } = answered;
        let what = match result {
            Ok(answer) => {
                self.stage.pulse.accepted(room, sent);
                let what = What::Accepted {
                    room,
                    n,
                    seq: answer.seq,
                    epoch: notes::epoch(&answer.epoch),
                    level: level(answer.durability),
                    duplicate: answer.duplicate,
                };
                self.keeping.spawn(async move {
                    let result = answer.durable().await;
                    Kept {
                        room,
                        n,
                        sent,
                        result,
                    }
                });
                what
            }
            Err(error) => {
                self.stage.pulse.settled();
                refused(room, n, &error)
            }
        };
        self.stage.recorder.note(self.part.client, what);
    }

    fn kept(&mut self, kept: &Kept) {
        self.stage.pulse.settled();
        let Ok(durable) = &kept.result else {
            return;
        };
        if durable.level == Reached::Archived {
            self.stage.pulse.durable(kept.room, kept.sent);
            let what = What::Durable {
                room: kept.room,
                n: kept.n,
                seq: durable.seq,
                epoch: notes::epoch(&durable.epoch),
            };
            self.stage.recorder.note(self.part.client, what);
        }
    }
}

fn refused(room: u32, n: u64, error: &Error) -> What {
    let (code, temporary) = match error {
        Error::Reply {
            code, temporary, ..
        } => (*code, *temporary),
        // It never left.
        Error::Full => (0, false),
        _ => (0, true),
    };
    What::Refused {
        room,
        n,
        code,
        temporary,
    }
}

fn level(reached: Reached) -> Level {
    match reached {
        Reached::Archived => Level::Archived,
        Reached::Replicated => Level::Replicated,
        Reached::Accepted => Level::Accepted,
    }
}

//! One member of one room: listens, and writes if it is their part.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_protocol::command::Method;
use chinwag_protocol::push::Happening;
use chinwag_protocol::reply::{Outcome, Reply};
use chinwag_protocol::request::RpcRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::seen::{Seen, note};

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a member does.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub url: String,
    pub token: String,
    pub room: String,
    /// When to begin.
    pub begin: Instant,
    /// How much later than the others its room begins.
    pub offset: Duration,
    /// How many messages the room gets.
    pub messages: u64,
    /// Time between two of them.
    pub pause: Duration,
    /// Whether this member writes them.
    pub writes: bool,
    pub bytes: usize,
}

/// A message's body: which one it is, and padding.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    n: u64,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Event {
    r#type: String,
    body: Option<Body>,
}

/// Opens a session; it is subscribed to its rooms by itself.
pub(crate) async fn connect(url: &str, token: &str) -> Result<Connection> {
    let socket = format!("{}/connection/websocket", url.replacen("http", "ws", 1));
    let connected = Connection::connect(&Options::new(&socket, token)).await;
    Ok(connected.with_context(|| format!("connect to {socket}"))?.0)
}

/// Plays the part on an open connection.
pub(crate) async fn play(part: Part, mut connection: Connection) -> Result<Seen> {
    let mut seen = Seen::nothing()?;
    seen.expected = part.messages;
    let mut playing = Playing {
        part,
        seen,
        next: 0,
        last: 0,
        asked: HashMap::new(),
    };
    let end = playing.time_of(playing.part.messages) + PATIENCE;
    while !playing.is_over() {
        let next = playing.time_of(playing.next);
        let writes = playing.part.writes && playing.next < playing.part.messages;
        let reply = tokio::select! {
            reply = timeout_at(end, connection.receive()) => reply,
            () = sleep_until(next), if writes => {
                playing.write(&mut connection).await?;
                continue;
            }
        };
        match reply {
            Ok(reply) => playing.heard(reply.context("receive")?),
            Err(_) => break,
        }
    }
    Ok(playing.seen)
}

struct Playing {
    part: Part,
    seen: Seen,
    /// The next message to write.
    next: u64,
    /// The last message heard.
    last: u64,
    /// Commands that wait for their answer, with their times by the schedule.
    asked: HashMap<u32, Instant>,
}

impl Playing {
    /// When a message is to be written, by the schedule.
    fn time_of(&self, number: u64) -> Instant {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.part.begin + self.part.pause * number
    }

    fn is_over(&self) -> bool {
        let answered = !self.part.writes || self.seen.acknowledged == self.part.messages;
        answered && self.seen.delivered >= self.part.messages
    }

    async fn write(&mut self, connection: &mut Connection) -> Result<()> {
        let body = Body {
            n: self.next,
            text: "x".repeat(self.part.bytes),
        };
        let data = json!({ "room": self.part.room, "body": body }).to_string();
        let request = RpcRequest {
            method: "message.send".to_owned(),
            data: data.into(),
        };
        let id = connection
            .send(Method::Rpc(request))
            .await
            .context("send")?;
        self.asked.insert(id, self.time_of(self.next));
        self.next += 1;
        self.seen.sent += 1;
        Ok(())
    }

    fn heard(&mut self, reply: Reply) {
        match reply.outcome {
            Some(Outcome::Rpc(_)) => {
                if let Some(asked) = self.asked.remove(&reply.id) {
                    self.seen.acknowledged += 1;
                    note(&mut self.seen.acks, asked.elapsed());
                }
            }
            Some(Outcome::Push(push)) if push.channel == self.part.room => {
                if let Some(Happening::Pub(publication)) = push.happening {
                    self.delivered(&publication.data);
                }
            }
            _ => {}
        }
    }

    fn delivered(&mut self, data: &[u8]) {
        let Ok(Event {
            r#type,
            body: Some(body),
        }) = serde_json::from_slice(data)
        else {
            return;
        };
        if r#type != "message" {
            return;
        }
        let number = body.n + 1;
        match number.cmp(&(self.last + 1)) {
            std::cmp::Ordering::Less => self.seen.doubled += 1,
            order => {
                if order.is_gt() {
                    self.seen.disordered += 1;
                }
                self.last = number;
                self.seen.delivered += 1;
                let took = self.time_of(body.n).elapsed();
                note(&mut self.seen.deliveries, took);
            }
        }
    }
}

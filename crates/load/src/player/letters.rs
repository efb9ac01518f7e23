//! Messages of one client: due, under way, answered, sent again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chinwag_client::connection::Connection;
use chinwag_client::error::Error;
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::position::epoch_from_text;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::RpcRequest;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::Player;
use crate::cast::Part;
use crate::check::history::{Level, What};
use crate::script::Schedule;

/// Most messages under way at once. Those that are due meanwhile wait, and their time counts.
const UNDER_WAY: usize = 500;
/// Most messages in one frame.
const IN_A_FRAME: usize = 64;
/// How long after a refusal for the time being a message is sent again.
const PUT_OFF: Duration = Duration::from_millis(250);

pub(super) struct Letters {
    schedule: Option<Schedule>,
    /// A name of this run and client, so that no other message has the same.
    name: String,
    padding: String,
    /// The next one.
    next: u64,
    /// Sent, or to be sent again, and not answered: when each was due.
    open: BTreeMap<u64, Instant>,
    /// Which of them each command is about.
    asked: HashMap<u32, u64>,
    /// Refused for the time being, and until when.
    put_off: BTreeMap<u64, Instant>,
}

impl Letters {
    pub fn new(part: &Part) -> Self {
        Self {
            schedule: part.schedule,
            name: format!("load-{}", part.client),
            padding: "x".repeat(part.bytes),
            next: 0,
            open: BTreeMap::new(),
            asked: HashMap::new(),
            put_off: BTreeMap::new(),
        }
    }

    /// How many have no answer.
    pub fn open(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    /// Whether all are written and answered.
    pub fn is_done(&self) -> bool {
        let due = |schedule: Schedule| schedule.due(self.next);
        self.open.is_empty() && self.schedule.and_then(due).is_none()
    }

    /// When the next one is to be sent.
    pub fn next_due(&self, begun: Instant) -> Option<Instant> {
        let again = self.put_off.values().min().copied();
        if self.asked.len() >= UNDER_WAY {
            return again;
        }
        let next = self.schedule?.due(self.next).map(|due| begun + due);
        next.into_iter().chain(again).min()
    }

    /// The connection is gone, and with it all answers.
    pub fn lost(&mut self) {
        self.asked.clear();
        self.put_off.clear();
    }

    fn take_due(&mut self, begun: Instant) -> Option<u64> {
        let due = begun + self.schedule?.due(self.next)?;
        if due > Instant::now() || self.asked.len() >= UNDER_WAY {
            return None;
        }
        let n = self.next;
        self.next += 1;
        self.open.insert(n, due);
        Some(n)
    }

    fn take_put_off(&mut self) -> Option<u64> {
        let now = Instant::now();
        let (n, _) = self.put_off.iter().find(|(_, until)| **until <= now)?;
        let n = *n;
        self.put_off.remove(&n);
        Some(n)
    }
}

/// The result of sending.
#[derive(Deserialize)]
struct Sent {
    seq: u64,
    epoch: String,
    durability: Level,
    duplicate: bool,
}

impl Player {
    /// Sends what is due, several in a frame if there are.
    pub(super) async fn write(
        &mut self,
        connection: &mut Connection,
        begun: Option<Instant>,
    ) -> Result<(), Error> {
        for _ in 0..IN_A_FRAME {
            let again = self.letters.take_put_off();
            let Some(n) = again.or_else(|| begun.and_then(|begun| self.letters.take_due(begun)))
            else {
                break;
            };
            if again.is_none() {
                let due = self.letters.open.get(&n).copied();
                let late = due.map_or(Duration::ZERO, |due| due.elapsed());
                if let Some(mut page) = self.page() {
                    page.sent(late);
                }
            }
            self.queue(connection, n)?;
        }
        connection.flush().await
    }

    /// Sends again, in order, what has no answer.
    pub(super) async fn send_again(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let open: Vec<u64> = self.letters.open.keys().copied().collect();
        for some in open.chunks(IN_A_FRAME) {
            for n in some {
                self.queue(connection, *n)?;
            }
            connection.flush().await?;
        }
        Ok(())
    }

    fn queue(&mut self, connection: &mut Connection, n: u64) -> Result<(), Error> {
        let (room, client) = (self.part.room, self.part.client);
        let data = json!({
            "room": &*self.part.room_id,
            "id": format!("{}-{n}", self.letters.name),
            "body": { "sender": client, "n": n, "due": self.due(n), "text": self.letters.padding },
        });
        let method = Method::Rpc(RpcRequest {
            method: "message.send".to_owned(),
            data: data.to_string().into(),
        });
        let id = connection.next_id();
        self.notes.write(What::Send { room, n });
        self.letters.asked.insert(id, n);
        connection.queue(&Command::new(id, method))
    }

    /// When a message was due, in microseconds of the run.
    fn due(&self, n: u64) -> u64 {
        let due = self.letters.open.get(&n);
        let since = due.map(|due| due.saturating_duration_since(self.notes.clock.0));
        let since = since.unwrap_or_default().as_micros();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// An answer came.
    pub(super) fn answered(&mut self, id: u32, outcome: Outcome) {
        let Some(n) = self.letters.asked.remove(&id) else {
            return;
        };
        let room = self.part.room;
        match outcome {
            Outcome::Rpc(result) => {
                let Ok(sent) = serde_json::from_slice::<Sent>(&result.data) else {
                    self.played.reason = Some("an answer that says nothing".to_owned());
                    return;
                };
                if let Some(due) = self.letters.open.remove(&n)
                    && let Some(mut page) = self.page()
                {
                    page.acked(due.elapsed());
                }
                self.notes.write(What::Accepted {
                    room,
                    n,
                    seq: sent.seq,
                    epoch: epoch_from_text(&sent.epoch),
                    level: sent.durability,
                    duplicate: sent.duplicate,
                });
            }
            Outcome::Error(error) => {
                let (code, temporary) = (error.code, error.temporary);
                let refused = What::Refused {
                    room,
                    n,
                    code,
                    temporary,
                };
                self.notes.write(refused);
                if let Some(mut page) = self.page() {
                    page.refused();
                }
                self.played.reason = Some(format!("{code}: {}", error.message));
                if temporary {
                    self.letters.put_off.insert(n, Instant::now() + PUT_OFF);
                } else {
                    self.letters.open.remove(&n);
                    self.played.denied += 1;
                }
            }
            _ => {}
        }
    }
}

//! What one client is given: subscriptions, what was missed, live events.

use std::time::Duration;

use chinwag_client::connection::Connection;
use chinwag_client::error::Error;
use chinwag_protocol::command::Method;
use chinwag_protocol::position::{epoch_from_text, epoch_text};
use chinwag_protocol::push::{Happening, Publication, Push};
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::{HistoryRequest, StreamPosition};
use chinwag_protocol::result::SubscribeResult;
use serde::Deserialize;
use std::sync::atomic::Ordering;

use super::Player;
use crate::check::history::{NOBODY, What};

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    body: Option<Body>,
}

/// What is read of a message of ours.
#[derive(Deserialize)]
pub(crate) struct Body {
    pub sender: u32,
    pub n: u64,
    /// When it was due, in microseconds of the run.
    #[serde(default)]
    pub due: u64,
}

impl Player {
    /// The room is live; takes what was missed.
    pub(super) async fn subscribed(
        &mut self,
        connection: &mut Connection,
        result: SubscribeResult,
    ) -> Result<(), Error> {
        let (room, seq) = (self.part.room, result.offset);
        let epoch = epoch_from_text(&result.epoch);
        let before = self.place.stands;
        let recovered = result.was_recovering && result.recovered;
        let since = before.map(|(seq, _)| seq);
        self.notes.write(What::Subscribed {
            room,
            seq,
            epoch,
            since,
            recovered,
        });
        let Some((stood, known)) = before else {
            self.place.go_on(seq, epoch);
            self.show();
            return Ok(());
        };
        self.place.go_on(stood, epoch);
        if recovered {
            for publication in &result.publications {
                self.delivered(publication, false);
            }
        } else if known != epoch || seq < stood {
            // Another history; what of the old one stands is not known here, so it begins anew.
            self.notes.write(What::Rewound { room, seq, epoch });
            self.place.go_on(seq, epoch);
        } else {
            self.fetch(connection, seq).await?;
        }
        self.place.settle();
        Ok(())
    }

    /// Asks for what was missed and did not come with the answer.
    async fn fetch(&mut self, connection: &mut Connection, top: u64) -> Result<(), Error> {
        while let Some((offset, epoch)) = self.place.stands.filter(|(seq, _)| *seq < top) {
            let since = StreamPosition {
                offset,
                epoch: epoch_text(epoch),
            };
            let request = HistoryRequest {
                channel: self.part.room_id.to_string(),
                limit: -1,
                since: Some(since),
                reverse: false,
            };
            match connection.call(Method::History(request)).await? {
                Outcome::History(result) if !result.publications.is_empty() => {
                    for publication in &result.publications {
                        self.delivered(publication, false);
                    }
                }
                other => return Err(Error::Malformed(format!("no history: {other:?}"))),
            }
        }
        Ok(())
    }

    /// Takes a push; about how many bytes it had.
    pub(super) async fn pushed(
        &mut self,
        connection: &mut Connection,
        push: Push,
    ) -> Result<u64, Error> {
        if *push.channel != *self.part.room_id {
            return Ok(0);
        }
        match push.happening {
            Some(Happening::Pub(publication)) if publication.offset > 0 => {
                self.delivered(&publication, true);
                Ok(u64::try_from(publication.data.len() + 120).unwrap_or(0))
            }
            Some(Happening::Subscribe(push)) => {
                let result = SubscribeResult {
                    epoch: push.epoch,
                    offset: push.offset,
                    ..SubscribeResult::default()
                };
                self.subscribed(connection, result).await?;
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    fn delivered(&mut self, publication: &Publication, live: bool) {
        let seq = publication.offset;
        if !self.place.take(seq) {
            return;
        }
        let body = serde_json::from_slice::<Event>(&publication.data);
        let body = body.ok().and_then(|event| event.body);
        let (sender, n) = body
            .as_ref()
            .map_or((NOBODY, 0), |body| (body.sender, body.n));
        let epoch = self.place.stands.map_or(0, |(_, epoch)| epoch);
        self.notes.write(What::Deliver {
            room: self.part.room,
            seq,
            epoch,
            sender,
            n,
        });
        // What slow readers and those who come back get late says nothing of the server.
        let timed = body.filter(|_| live && self.part.pace.is_none());
        let took = timed.map(|body| {
            let now = self.notes.clock.microseconds();
            Duration::from_micros(now.saturating_sub(body.due))
        });
        if let Some(mut page) = self.page() {
            page.delivered(took);
        }
        self.show();
    }

    /// How far it is, for whoever waits for all.
    fn show(&self) {
        let client = usize::try_from(self.part.client).unwrap_or(usize::MAX);
        if let Some(heard) = self.stage.heard.get(client) {
            heard.store(self.place.seq(), Ordering::Relaxed);
        }
    }
}

//! What a client is told, written down.

use std::collections::HashMap;
use std::sync::Arc;

use chinwag_client::error::Error;
use chinwag_client::notice::{Notice, Subscribed};
use chinwag_protocol::push::Publication;
use serde::Deserialize;

use super::Body;
use crate::chaos::stage::Stage;
use crate::check::history::{NOBODY, What};

/// Takes notes for one client.
pub(super) struct Notes {
    client: u32,
    stage: Arc<Stage>,
    /// Where it stands in each room: seq and epoch.
    places: HashMap<u32, (u64, u64)>,
    /// Why it does not come back, if it does not.
    pub ended: Option<String>,
}

/// An event of a room, as it stands in a publication.
#[derive(Debug, Deserialize)]
struct Event {
    body: Option<Body>,
}

impl Notes {
    pub fn new(client: u32, stage: Arc<Stage>) -> Self {
        Self {
            client,
            stage,
            places: HashMap::new(),
            ended: None,
        }
    }

    /// Takes a note of what happened.
    pub fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Connected(connected) => {
                let gateway = self.stage.gateway(&connected.node);
                let user = self.client;
                self.note(What::Connected { gateway, user });
                self.stage.pulse.connected(self.client, true);
            }
            Notice::Disconnected { error, comes_back } => {
                if !comes_back {
                    self.ended = Some(error.to_string());
                }
                self.stage.pulse.connected(self.client, false);
                let code = match error {
                    Error::Closed(closed) => u32::from(closed.code),
                    _ => 0,
                };
                self.note(What::Disconnected { code });
            }
            Notice::Subscribed(subscribed) => self.subscribed(&subscribed),
            Notice::Unsubscribed { room, code, reason } => self.unsubscribed(&room, code, &reason),
            Notice::Rewound { room, to, .. } => {
                if let Some(room) = self.stage.room(&room) {
                    let (seq, epoch) = (to.offset, epoch(&to.epoch));
                    self.note(What::Rewound { room, seq, epoch });
                    self.places.insert(room, (seq, epoch));
                }
            }
            Notice::Publication {
                room, publication, ..
            } => self.published(&room, &publication),
            _ => {}
        }
    }

    /// Who comes and goes begins anew; a member who stays is owed everything.
    fn unsubscribed(&mut self, room: &str, code: u32, reason: &str) {
        let Some(room) = self.stage.room(room) else {
            return;
        };
        let stays = self.stage.rooms.get(room as usize);
        if stays.is_some_and(|room| room.members.contains(&self.client)) {
            let client = self.client;
            tracing::warn!(client, room, code, reason, "a member is put out");
        } else {
            self.places.remove(&room);
        }
    }

    fn subscribed(&mut self, subscribed: &Subscribed) {
        let Some(room) = self.stage.room(&subscribed.room) else {
            return;
        };
        let seq = subscribed.position.offset;
        let epoch = epoch(&subscribed.position.epoch);
        let before = self.places.get(&room).copied();
        let recovered = before.is_some() && subscribed.recovered;
        self.note(What::Subscribed {
            room,
            seq,
            epoch,
            since: before.map(|(seq, _)| seq),
            recovered,
        });
        let place = if recovered {
            before.map_or(seq, |(seq, _)| seq)
        } else {
            seq
        };
        self.places.insert(room, (place, epoch));
        self.stage.pulse.delivered(self.client, room, place, None);
    }

    fn published(&mut self, room: &str, publication: &Publication) {
        let Some(room) = self.stage.room(room).filter(|_| publication.offset > 0) else {
            return;
        };
        let place = self.places.entry(room).or_default();
        place.0 = publication.offset;
        let (seq, epoch) = *place;
        let (sender, n, sent) = message(&publication.data);
        self.note(What::Deliver {
            room,
            seq,
            epoch,
            sender,
            n,
        });
        self.stage.pulse.delivered(self.client, room, seq, sent);
    }

    fn note(&self, what: What) {
        self.stage.recorder.note(self.client, what);
    }
}

/// Who sent it, which of theirs it is, and when, if it is a message.
pub(crate) fn message(event: &[u8]) -> (u32, u64, Option<u64>) {
    match serde_json::from_slice::<Event>(event) {
        Ok(Event { body: Some(body) }) => (body.sender, body.n, Some(body.sent)),
        _ => (NOBODY, 0, None),
    }
}

/// An epoch as a number; 0 if it is none.
pub(crate) fn epoch(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

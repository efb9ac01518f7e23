//! One room of a session.

use std::sync::Arc;

use bytes::Bytes;
use chinwag_protocol::request::SubscribeRequest;

use crate::error::Error;
use crate::notice::Subscribed;
use crate::request::{Answer, Subscription};
use crate::room::Place;

/// Who wanted the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Server,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Wanted, and not asked for on this connection.
    Idle,
    /// Under this command's id.
    Asked(u32),
    Live,
}

/// One room of a session.
pub(super) struct Room {
    pub place: Place,
    pub by: By,
    pub stage: Stage,
    /// Whether it has ever been live, so that its end is news.
    pub known: bool,
    how: Subscription,
    /// The epoch as it was last given to the application.
    epoch: Arc<str>,
    pub answers: Vec<Answer<Subscribed>>,
}

impl Room {
    pub fn new(by: By, how: Subscription) -> Self {
        let place = how.since.clone().map_or_else(Place::default, Place::after);
        Self {
            place,
            by,
            stage: Stage::Idle,
            known: false,
            how,
            epoch: Arc::default(),
            answers: Vec::new(),
        }
    }

    /// Whether it waits to be asked for.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// The connection is gone.
    pub fn lost(&mut self, forget: bool) {
        self.stage = Stage::Idle;
        if forget {
            self.place.forget();
        }
    }

    /// Tells all who wait for it that it will not come.
    pub fn fail(self, error: &Error) {
        for answer in self.answers {
            let _nobody_waits = answer.send(Err(error.clone()));
        }
    }

    /// The epoch of its position; empty if it is not counted.
    pub fn epoch(&mut self) -> Arc<str> {
        let epoch = self.place.seen().map_or("", |seen| seen.epoch.as_str());
        if *self.epoch != *epoch {
            self.epoch = epoch.into();
        }
        Arc::clone(&self.epoch)
    }

    /// What there is to say of it while it is live.
    pub fn state(&self, name: &Arc<str>) -> Subscribed {
        let position = self.place.seen().cloned().unwrap_or_default();
        Subscribed {
            room: Arc::clone(name),
            after: position.clone(),
            position,
            recovered: false,
            missed: None,
            by_server: self.by == By::Server,
            data: Bytes::new(),
        }
    }

    pub fn request(&self, name: &str) -> SubscribeRequest {
        SubscribeRequest {
            channel: name.to_owned(),
            token: self.how.token.clone(),
            join_leave: self.how.joins,
            ..self.place.request()
        }
    }
}

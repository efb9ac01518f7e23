//! Rooms: asked for, live, lost and asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chinwag_protocol::command::Method;
use chinwag_protocol::push::{self, ClientInfo, Publication};
use chinwag_protocol::request::{SubscribeRequest, UnsubscribeRequest};
use chinwag_protocol::result::SubscribeResult;

use crate::error::{Closed, Error};
use crate::notice::{Notice, Subscribed};
use crate::request::{Answer, Subscription};
use crate::room::{Arrival, Missed, Place, Resumed};
use crate::session::{Pending, Session};

/// From this code on an unsubscribe push means: ask again.
const ASK_AGAIN: u32 = 2500;
/// The unsubscribe code after which no position is good.
const STATE_INVALIDATED: u32 = 2502;
/// The code of an end that the server did not announce.
const GONE: u32 = 2000;

/// Who wanted the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Server,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Wanted, and not asked for on this connection.
    Idle,
    /// Under this command's id.
    Asked(u32),
    Live,
}

/// One room of a session.
pub(super) struct Room {
    place: Place,
    by: By,
    stage: Stage,
    /// Whether it has ever been live, so that its end is news.
    known: bool,
    how: Subscription,
    answers: Vec<Answer<Subscribed>>,
}

impl Room {
    fn new(by: By, how: Subscription) -> Self {
        let place = how.since.clone().map_or_else(Place::default, Place::after);
        Self {
            place,
            by,
            stage: Stage::Idle,
            known: false,
            how,
            answers: Vec::new(),
        }
    }

    /// Whether it waits to be asked for.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle && self.by == By::Client
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

    /// What there is to say of it while it is live.
    fn state(&self, name: &Arc<str>) -> Subscribed {
        Subscribed {
            room: Arc::clone(name),
            position: self.place.seen().cloned().unwrap_or_default(),
            missed: None,
            by_server: self.by == By::Server,
            data: bytes::Bytes::new(),
        }
    }

    fn request(&self, name: &str) -> SubscribeRequest {
        SubscribeRequest {
            channel: name.to_owned(),
            token: self.how.token.clone(),
            join_leave: self.how.joins,
            ..self.place.request()
        }
    }
}

impl Session {
    /// Where this client stands in the rooms that the server wanted.
    pub(super) fn positions(&self) -> BTreeMap<String, SubscribeRequest> {
        let known = self
            .rooms
            .iter()
            .filter(|(_, room)| room.by == By::Server && room.place.seen().is_some());
        known
            .map(|(name, room)| (name.to_string(), room.place.request()))
            .collect()
    }

    /// Takes the rooms of a connect result: those that are not in it are no more.
    pub(super) fn take_rooms(&mut self, results: BTreeMap<String, SubscribeResult>) {
        let gone: Vec<Arc<str>> = self
            .rooms
            .iter()
            .filter(|(name, room)| room.by == By::Server && !results.contains_key(&***name))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in gone {
            self.remove(&name, GONE, "not subscribed any more".to_owned());
        }
        for (name, result) in results {
            self.subscribed(&name.into(), result, By::Server);
        }
    }

    pub(super) fn ask_for_rooms(&mut self) {
        let idle = self.rooms.iter().filter(|(_, room)| room.is_idle());
        let idle: Vec<_> = idle.map(|(name, _)| Arc::clone(name)).collect();
        for name in idle {
            self.ask_for_room(&name);
        }
    }

    fn ask_for_room(&mut self, name: &Arc<str>) {
        if let Some(request) = self.rooms.get(name).map(|room| room.request(name)) {
            let pending = Pending::Subscribe(Arc::clone(name));
            let id = self.ask(Method::Subscribe(request), pending);
            if let Some(room) = self.rooms.get_mut(name) {
                room.stage = Stage::Asked(id);
            }
        }
    }

    pub(super) fn subscribe(
        &mut self,
        name: &Arc<str>,
        how: Subscription,
        answer: Answer<Subscribed>,
    ) {
        let known = self.rooms.contains_key(name);
        let room = self
            .rooms
            .entry(Arc::clone(name))
            .or_insert_with(|| Room::new(By::Client, how));
        if room.stage == Stage::Live {
            drop(answer.send(Ok(room.state(name))));
            return;
        }
        room.answers.push(answer);
        if self.open && !known {
            self.ask_for_room(name);
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &str, answer: Answer<()>) {
        let Some(room) = self.rooms.remove(name) else {
            drop(answer.send(Ok(())));
            return;
        };
        let asked = room.stage != Stage::Idle;
        room.fail(&Error::Ended);
        if self.open && asked {
            let channel = name.to_owned();
            let method = Method::Unsubscribe(UnsubscribeRequest { channel });
            self.ask(method, Pending::Unsubscribe(answer));
        } else {
            drop(answer.send(Ok(())));
        }
    }

    pub(super) fn subscription_answered(
        &mut self,
        id: u32,
        name: &Arc<str>,
        result: SubscribeResult,
    ) {
        let room = self.rooms.get(name);
        // Otherwise the application has changed its mind meanwhile.
        if room.is_some_and(|room| room.stage == Stage::Asked(id)) {
            self.subscribed(name, result, By::Client);
        }
    }

    /// A room is live. What was missed follows the news of it.
    fn subscribed(&mut self, name: &Arc<str>, mut result: SubscribeResult, by: By) {
        let room = self
            .rooms
            .entry(Arc::clone(name))
            .or_insert_with(|| Room::new(by, Subscription::default()));
        let data = std::mem::take(&mut result.data);
        let resumed = room.place.subscribed(result);
        self.live(name, resumed, data);
    }

    /// The server subscribed this connection to a room.
    pub(super) fn begun(&mut self, name: &str, push: &push::Subscribe) {
        let name: Arc<str> = name.into();
        let room = self
            .rooms
            .entry(Arc::clone(&name))
            .or_insert_with(|| Room::new(By::Server, Subscription::default()));
        let resumed = room.place.begun(push);
        self.live(&name, resumed, push.data.clone());
    }

    fn live(&mut self, name: &Arc<str>, resumed: Resumed, data: bytes::Bytes) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        (room.stage, room.known) = (Stage::Live, true);
        let missed: Option<Missed> = resumed.missed;
        let subscribed = Subscribed {
            missed,
            data,
            ..room.state(name)
        };
        for answer in room.answers.drain(..) {
            let _nobody_waits = answer.send(Ok(subscribed.clone()));
        }
        self.notices.push_back(Notice::Subscribed(subscribed));
        let room = name;
        for publication in resumed.publications {
            let room = Arc::clone(room);
            self.notices
                .push_back(Notice::Publication { room, publication });
        }
    }

    pub(super) fn not_subscribed(&mut self, name: &Arc<str>, error: Error) {
        match error {
            Error::Reply {
                code, temporary, ..
            } if temporary || code < 100 => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.stage = Stage::Idle;
                }
            }
            Error::Reply { code, message, .. } => self.remove(name, code, message),
            error => self.remove(name, GONE, error.to_string()),
        }
    }

    /// The server ended a subscription.
    pub(super) fn unsubscribed(&mut self, name: &str, push: push::Unsubscribe) {
        match self.rooms.get_mut(name) {
            Some(room) if room.by == By::Client && push.code >= ASK_AGAIN => {
                room.lost(push.code == STATE_INVALIDATED);
            }
            Some(_) => self.remove(&name.into(), push.code, push.reason),
            None => {}
        }
    }

    fn remove(&mut self, name: &Arc<str>, code: u32, reason: String) {
        let Some(room) = self.rooms.remove(name) else {
            return;
        };
        if room.known {
            self.notices.push_back(Notice::Unsubscribed {
                room: Arc::clone(name),
                code,
                reason: reason.clone(),
            });
        }
        room.fail(&Error::Reply {
            code,
            message: reason,
            temporary: false,
        });
    }

    /// A publication of a room that is live here. A gap in it cannot be: this connection has
    /// lost something, and another one will recover it.
    pub(super) fn published(&mut self, name: &str, publication: Publication) -> Result<(), Error> {
        let Some((name, room)) = self.live_room(name) else {
            return Ok(());
        };
        match room.place.arrive(&publication) {
            Arrival::New => {
                let room = name;
                self.notices
                    .push_back(Notice::Publication { room, publication });
                Ok(())
            }
            Arrival::Seen => Ok(()),
            Arrival::Gap => {
                let (seen, got) = (room.place.seen(), publication.offset);
                let seen = seen.map_or(0, |seen| seen.offset);
                let reason = format!("gap in {name}: {got} after {seen}");
                Err(Error::Closed(Closed::abnormal(reason)))
            }
        }
    }

    pub(super) fn joined(&mut self, name: &str, info: Option<ClientInfo>) {
        if let (Some((room, _)), Some(info)) = (self.live_room(name), info) {
            self.notices.push_back(Notice::Joined { room, info });
        }
    }

    pub(super) fn left(&mut self, name: &str, info: Option<ClientInfo>) {
        if let (Some((room, _)), Some(info)) = (self.live_room(name), info) {
            self.notices.push_back(Notice::Left { room, info });
        }
    }

    fn live_room(&mut self, name: &str) -> Option<(Arc<str>, &mut Room)> {
        let (key, _) = self.rooms.get_key_value(name)?;
        let key = Arc::clone(key);
        let room = self.rooms.get_mut(name)?;
        (room.stage == Stage::Live).then_some((key, room))
    }
}

//! Rooms: asked for, live, lost and asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chinwag_protocol::command::Method;
use chinwag_protocol::limit;
use chinwag_protocol::push::{self, ClientInfo, Publication};
use chinwag_protocol::request::{SubscribeRequest, UnsubscribeRequest};
use chinwag_protocol::result::SubscribeResult;

use crate::error::{Closed, Error};
use crate::notice::{Notice, Subscribed};
use crate::request::{Answer, Subscription};
use crate::room::{Arrival, Place, Resumed, Rewound};
use crate::session::room::{By, Room, Stage};
use crate::session::{Pending, Session};

/// From this code on an unsubscribe push means: ask again.
const ASK_AGAIN: u32 = 2500;
/// The unsubscribe code after which no position is good.
const STATE_INVALIDATED: u32 = 2502;
/// The error code of what is subscribed already.
const ALREADY: u32 = 105;
/// The code of an end that the server did not announce.
const GONE: u32 = 2000;

/// Most rooms of one client that it has not asked for itself.
const ROOMS_MOST: usize = 50_000;

/// What a position takes in a frame, beside the room's name.
const POSITION_BYTES: usize = 120;

impl Session {
    /// Where this client stands: first of all in the rooms that the server wanted, but the server
    /// may want others this time. As many as surely fit into a frame.
    pub(super) fn positions(&self) -> BTreeMap<String, SubscribeRequest> {
        let mut known: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.place.seen().is_some())
            .collect();
        known.sort_by_key(|(_, room)| room.by == By::Client);
        let mut bytes = 0;
        let known = known
            .into_iter()
            .map(|(name, room)| (name, room.place.request()));
        let given = self.known.iter().map(|(name, position)| {
            let place = Place::after(position.clone());
            (name, place.request())
        });
        known
            .chain(given)
            .filter(|(_, request)| request.recover)
            .take_while(|(name, _)| {
                bytes += name.len() + POSITION_BYTES;
                bytes < limit::FRAME_BYTES / 2
            })
            .map(|(name, request)| (name.to_string(), request))
            .collect()
    }

    /// Takes the rooms of a connect result: those that are not in it are no more.
    pub(super) fn take_rooms(
        &mut self,
        results: BTreeMap<String, SubscribeResult>,
    ) -> Result<(), Error> {
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
            self.taken(&name.into(), result)?;
        }
        Ok(())
    }

    /// The server has subscribed this connection without knowing where this client stood. Only
    /// who asks for it gets what lies between.
    fn ask_anew(&mut self, name: &Arc<str>) {
        let channel = name.to_string();
        let method = Method::Unsubscribe(UnsubscribeRequest { channel });
        self.ask(method, Pending::Nothing);
        self.ask_for_room(name);
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
        let room = self.room(name, By::Client, how);
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

    /// The room, begun where the application says that it stands if it is new.
    fn room(&mut self, name: &Arc<str>, by: By, mut how: Subscription) -> &mut Room {
        let given = self.known.remove(name);
        let room = self.rooms.entry(Arc::clone(name));
        room.or_insert_with(|| {
            how.since = how.since.or(given);
            Room::new(by, how)
        })
    }

    /// A room is live. What was missed follows the news of it.
    fn subscribed(&mut self, name: &Arc<str>, mut result: SubscribeResult, by: By) {
        let room = self.room(name, by, Subscription::default());
        let data = std::mem::take(&mut result.data);
        let epoch = result.epoch.clone();
        let resumed = room.place.subscribed(result);
        // Before anything else is sent: what was acknowledged in another epoch comes first.
        self.outbox.entered(name, &epoch);
        match resumed {
            Some(resumed) => self.live(name, resumed, data),
            None => self.ask_anew(name),
        }
        self.send_letters();
    }

    fn live(&mut self, name: &Arc<str>, resumed: Resumed, data: Bytes) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        (room.stage, room.known) = (Stage::Live, true);
        let subscribed = Subscribed {
            after: resumed.after,
            recovered: resumed.recovered,
            missed: resumed.missed,
            data,
            ..room.state(name)
        };
        let epoch: Arc<str> = subscribed.position.epoch.as_str().into();
        for answer in room.answers.drain(..) {
            let _nobody_waits = answer.send(Ok(subscribed.clone()));
        }
        if let Some(Rewound { from, to }) = resumed.rewound {
            self.outbox.rewound(name);
            let room = Arc::clone(name);
            self.notices.push_back(Notice::Rewound { room, from, to });
        }
        self.notices.push_back(Notice::Subscribed(subscribed));
        for publication in resumed.publications {
            let (room, epoch) = (Arc::clone(name), Arc::clone(&epoch));
            let published = Notice::Publication {
                room,
                epoch,
                publication,
            };
            self.notices.push_back(published);
        }
    }

    /// The server subscribed this connection to a room.
    pub(super) fn begun(&mut self, name: &str, push: push::Subscribe) -> Result<(), Error> {
        let result = SubscribeResult {
            recoverable: push.recoverable,
            positioned: push.positioned,
            epoch: push.epoch,
            offset: push.offset,
            data: push.data,
            ..SubscribeResult::default()
        };
        self.taken(&name.into(), result)
    }

    /// The server wants a room.
    fn taken(&mut self, name: &Arc<str>, result: SubscribeResult) -> Result<(), Error> {
        if self.rooms.len() >= ROOMS_MOST && !self.rooms.contains_key(name) {
            return Err(Error::Malformed("too many rooms".to_owned()));
        }
        let room = self.room(name, By::Server, Subscription::default());
        if room.place.is_passed_over_by(&result) {
            self.outbox.entered(name, &result.epoch);
            self.ask_anew(name);
            self.send_letters();
        } else {
            self.subscribed(name, result, By::Server);
        }
        Ok(())
    }

    pub(super) fn not_subscribed(&mut self, id: u32, name: &Arc<str>, error: Error) {
        let stage = self.rooms.get(name).map(|room| room.stage);
        if stage != Some(Stage::Asked(id)) {
            // It has been asked for again since, or the server was faster.
            return;
        }
        match error {
            // The server began it in the meantime, without knowing where this client stood.
            Error::Reply { code: ALREADY, .. } => self.ask_anew(name),
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
            // The end of an earlier subscription: the answer to the next is still to come.
            Some(room) if push.code >= ASK_AGAIN && matches!(room.stage, Stage::Asked(_)) => {}
            // Also a room that the server began: it may have been asked for since.
            Some(room) if push.code >= ASK_AGAIN => {
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
        if self.marked(name, &publication) {
            return Ok(());
        }
        let Some((name, room)) = self.live_room(name) else {
            return Ok(());
        };
        match room.place.arrive(&publication) {
            Arrival::New => {
                let epoch = room.epoch();
                let room = name;
                let published = Notice::Publication {
                    room,
                    epoch,
                    publication,
                };
                self.notices.push_back(published);
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

//! Something said in a room, on its way to sockets: decoded once per process, encoded once per
//! encoding, shared by all that get it.

use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;
use chinwag_protocol::codec::Encoding;
use chinwag_protocol::event::{Change, Content, Event, Kind};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_protocol::position::{Position, epoch_text};
use chinwag_protocol::push::{ClientInfo, Happening, Join, Leave, Publication, Push};
use chinwag_store::channel::Signal;
use chinwag_store::presence::Occupant;
use serde::Serialize;

/// A push that many sockets share.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Where it was said.
    pub room: RoomId,
    /// Its place in the room's log; `None` for what is not kept.
    pub position: Option<Position>,
    /// When this process heard of it.
    pub heard: Instant,
    /// Who must be let go after it.
    pub leaver: Option<UserId>,
    /// What may be dropped first when a reader is slow, and who wants it at all.
    pub class: Class,
    push: Push,
    json: OnceLock<Bytes>,
    protobuf: OnceLock<Bytes>,
}

/// The kinds of delivery, by what happens to them when a reader is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Durable: never dropped.
    Event,
    /// A join or leave, for those who asked for them; dropped first.
    Coming,
    /// Presence and the like; dropped first.
    Ephemeral,
}

/// How far a room is archived, on the wire.
#[derive(Serialize)]
struct Mark {
    #[serde(rename = "type")]
    kind: &'static str,
    seq: u64,
    epoch: String,
}

impl Delivery {
    /// A durable event.
    pub(crate) fn event(room: RoomId, kind: Kind, event: &Event, heard: Instant) -> Self {
        let publication = publication(kind, event);
        let leaver = match &event.content {
            Content::Member {
                user,
                change: Change::Left | Change::Removed,
                ..
            } => Some(user.clone()),
            _ => None,
        };
        let position = Some(Position::new(event.epoch, event.seq));
        let happening = Happening::Pub(publication);
        Self {
            leaver,
            ..Self::new(room, position, heard, Class::Event, happening)
        }
    }

    /// Something that is not kept.
    pub(crate) fn signal(room: RoomId, signal: Signal, heard: Instant) -> Self {
        let (class, happening) = match signal {
            Signal::Join(occupant) => (
                Class::Coming,
                Happening::Join(Join {
                    info: Some(info(&occupant)),
                }),
            ),
            Signal::Leave(occupant) => (
                Class::Coming,
                Happening::Leave(Leave {
                    info: Some(info(&occupant)),
                }),
            ),
            Signal::Data(data) => (Class::Ephemeral, said(data.into())),
        };
        Self::new(room, None, heard, class, happening)
    }

    /// JSON for the listeners of a channel, not kept.
    pub(crate) fn data(room: RoomId, data: &Json) -> Self {
        let happening = said(data.as_bytes().clone());
        Self::new(room, None, Instant::now(), Class::Ephemeral, happening)
    }

    /// How far a room is archived.
    pub(crate) fn mark(room: RoomId, archived: Position) -> Self {
        let (seq, epoch) = (archived.seq, epoch_text(archived.epoch));
        Self::data(
            room,
            &Json::of(&Mark {
                kind: "archived",
                seq,
                epoch,
            }),
        )
    }

    fn new(
        room: RoomId,
        position: Option<Position>,
        heard: Instant,
        class: Class,
        happening: Happening,
    ) -> Self {
        let push = Push::new(room.as_str(), happening);
        let (json, protobuf) = (OnceLock::new(), OnceLock::new());
        Self {
            room,
            position,
            heard,
            leaver: None,
            class,
            push,
            json,
            protobuf,
        }
    }

    /// About how many bytes it takes, encoded forms included.
    pub(crate) fn weight(&self) -> usize {
        let data = self
            .publication()
            .map_or(0, |publication| publication.data.len());
        512 + 3 * data
    }

    /// The publication, if it is one.
    pub(crate) fn publication(&self) -> Option<&Publication> {
        match &self.push.happening {
            Some(Happening::Pub(publication)) => Some(publication),
            _ => None,
        }
    }

    /// The framed push in an encoding. Made by whoever asks first.
    pub(crate) fn bytes(&self, encoding: Encoding) -> Bytes {
        let slot = match encoding {
            Encoding::Json => &self.json,
            Encoding::Protobuf => &self.protobuf,
        };
        slot.get_or_init(|| encode(encoding, &self.push)).clone()
    }
}

/// A framed push. One that cannot be said in the encoding is left out: an empty text.
pub(crate) fn encode(encoding: Encoding, push: &Push) -> Bytes {
    encoding.encode_push(push).unwrap_or_else(|error| {
        tracing::error!(channel = push.channel, %error, "a push cannot be encoded");
        Bytes::new()
    })
}

fn said(data: Bytes) -> Happening {
    Happening::Pub(Publication {
        data,
        ..Publication::default()
    })
}

/// An occupant of a channel as clients see it.
pub(crate) fn info(occupant: &Occupant) -> ClientInfo {
    let json = |json: Option<Json>| json.map(|json| json.as_bytes().clone()).unwrap_or_default();
    ClientInfo {
        user: occupant.user.clone(),
        client: occupant.client.to_string(),
        conn_info: json(occupant.connection_json()),
        chan_info: json(occupant.channel_json()),
    }
}

/// An event as a publication: data as it was published in plain channels, the event's JSON form
/// in chat rooms.
pub(crate) fn publication(kind: Kind, event: &Event) -> Publication {
    let data = match (&event.content, kind) {
        (Content::Publication { data }, Kind::Channel | Kind::User) => data.as_bytes().clone(),
        _ => event.to_json().as_bytes().clone(),
    };
    let info = event.sender.as_ref().map(|sender| ClientInfo {
        user: sender.to_string(),
        client: event
            .client
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ..ClientInfo::default()
    });
    Publication {
        data,
        info,
        offset: event.seq,
        time: i64::try_from(event.time).unwrap_or(i64::MAX),
        ..Publication::default()
    }
}

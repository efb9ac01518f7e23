//! Rooms: making them, seeing them as a user does, bringing them into a new epoch.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::{Change, Content, Event, Kind, Made, Role, RoomChange};
use chinwag_protocol::id::{RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::append::{ack_number, ack_of};
use crate::connect::Call;
use crate::error::{Error, Result};
use crate::keys::OPEN_ROOMS;
use crate::member::{Membership, role_number};
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// A room to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its id.
    pub room: RoomId,
    /// `Group`, `Open` or `Dm`.
    pub kind: Kind,
    /// What people call it; empty for a direct room.
    pub name: String,
    /// What it is about.
    pub topic: String,
    /// Who makes it.
    pub creator: UserId,
    /// Everybody who is in it from the start, the creator included.
    pub members: Vec<(UserId, Role)>,
    /// How safe messages are before they are acknowledged, unless their senders ask for another
    /// level. `None`: as the gateway has it.
    pub ack: Option<Ack>,
}

/// What a room is, as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Meta(pub u8, pub String, pub String, pub Option<UserId>);

/// A room as one user sees it in a list.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Its id.
    pub room: RoomId,
    /// Its kind.
    pub kind: Kind,
    /// Its name, empty for direct rooms and channels.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Its own level of acknowledgement.
    pub ack: Option<Ack>,
    /// The last event's sequence.
    pub seq: u64,
    /// How many messages it has had.
    pub messages: u64,
    /// The epoch it was last reconciled in.
    pub epoch: u64,
    /// The last event, if the ring has it.
    pub last: Option<Event>,
    /// What the user is in it, if anything.
    pub membership: Option<Membership>,
    /// How many members it has.
    pub members: u64,
    /// The sequence up to which the user has read, 0 if never.
    pub read_seq: u64,
    /// The count of messages at `read_seq`; `None` if only the archive knows it.
    pub messages_read: Option<u64>,
}

impl Store {
    /// Makes a room with its first members and the events that tell of them. Says whether it was
    /// made, or was there already.
    ///
    /// # Errors
    /// `NeedEpoch` as every write.
    pub async fn create_room(&self, new: &NewRoom) -> Result<bool> {
        self.create_room_above(new, (0, 0)).await
    }

    /// The same for a room that may have been before: it goes on above the archive's last sequence
    /// and count of messages.
    ///
    /// # Errors
    /// `NeedEpoch` as every write.
    pub async fn create_room_above(&self, new: &NewRoom, archived: (u64, u64)) -> Result<bool> {
        let keys = self.keys.room(&new.room);
        let partition = self.keys.of_room(&new.room);
        let meta = Meta(
            1,
            new.name.clone(),
            new.topic.clone(),
            Some(new.creator.clone()),
        );
        let created = Content::Room {
            change: RoomChange::Created,
            name: new.name.clone(),
            topic: new.topic.clone(),
            made: Some(Made {
                kind: new.kind,
                ack: new.ack,
            }),
        };
        let mut call = Call::new("create_room")
            .key(self.keys.epoch(partition))
            .key(self.keys.log(partition))
            .key(keys.room)
            .key(keys.history)
            .key(keys.members)
            .key(keys.read)
            .key(keys.channel)
            .arg(new.room.as_str())
            .arg(kind_name(new.kind))
            .arg(record::encode(&meta))
            .arg(record::tail(Some(&new.creator), None, None, &created))
            .number(archived.0)
            .number(archived.1)
            .number(new.ack.map_or(0, ack_number))
            .number(new.members.len() as u64);
        for (user, role) in &new.members {
            let change = if *user == new.creator {
                Change::Joined
            } else {
                Change::Invited
            };
            let content = Content::Member {
                user: user.clone(),
                change,
                role: *role,
            };
            call = call
                .arg(user.as_str())
                .number(role_number(*role))
                .arg(record::tail(Some(&new.creator), None, None, &content));
        }
        let answer = self.link.call(&call).await?;
        Ok(value::number("create_room", &answer)? == 1)
    }

    /// Lists a room among those that anyone may join.
    ///
    /// # Errors
    /// As every write.
    pub async fn list_open_room(&self, room: &RoomId) -> Result<()> {
        let mut command = redis::cmd("ZADD");
        command
            .arg(OPEN_ROOMS)
            .arg("NX")
            .arg(self.now())
            .arg(room.as_str());
        self.link.query("list_open_room", &command).await.map(drop)
    }

    /// Rooms that anyone may join, newest first, made before `before` (ms since 1970, exclusive;
    /// `None` is from the newest), with their times.
    ///
    /// # Errors
    /// As every read.
    pub async fn open_rooms(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(RoomId, u64)>> {
        self.rooms_by_score(OPEN_ROOMS, before, limit).await
    }

    /// The rooms of a sorted set by score, greatest first.
    pub(crate) async fn rooms_by_score(
        &self,
        key: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(RoomId, u64)>> {
        let highest = before.map_or("+inf".to_owned(), |before| format!("({before}"));
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(key)
            .arg(highest)
            .arg("-inf")
            .arg("BYSCORE")
            .arg("REV");
        command.arg("LIMIT").arg(0).arg(limit).arg("WITHSCORES");
        let answer = self.link.query("rooms", &command).await?;
        scored_rooms(answer)
    }

    /// Rooms as a user sees them, in the order asked for; `None` for those that do not exist.
    ///
    /// # Errors
    /// As every read.
    pub async fn overviews(
        &self,
        rooms: &[RoomId],
        user: &UserId,
    ) -> Result<Vec<Option<Overview>>> {
        let calls: Vec<Call> = rooms
            .iter()
            .map(|room| {
                let keys = self.keys.room(room);
                Call::new("overview")
                    .key(keys.room)
                    .key(keys.history)
                    .key(keys.members)
                    .key(keys.read)
                    .arg(user.as_str())
            })
            .collect();
        let answers = self.link.calls("overview", &calls).await?;
        rooms
            .iter()
            .zip(answers)
            .map(|(room, answer)| overview(room, answer))
            .collect()
    }
}

/// Pairs of room and score.
pub(crate) fn scored_rooms(answer: redis::Value) -> Result<Vec<(RoomId, u64)>> {
    let mut fields = Fields::of("rooms", answer)?;
    let mut rooms = Vec::new();
    while !fields.is_empty() {
        // RESP3 pairs them in arrays, RESP2 does not.
        let (room, score) = match fields.value()? {
            pair @ redis::Value::Array(_) => {
                let mut pair = Fields::of("rooms", pair)?;
                (pair.text()?, pair.number()?)
            }
            room => (value::text("rooms", room)?, fields.number()?),
        };
        let room = RoomId::new(room).map_err(|error| Error::corrupt("rooms", error))?;
        rooms.push((room, score));
    }
    Ok(rooms)
}

fn overview(room: &RoomId, answer: redis::Value) -> Result<Option<Overview>> {
    let Some(answer) = value::optional(answer) else {
        return Ok(None);
    };
    let mut fields = Fields::of("overview", answer)?;
    let kind = kind_named(&fields.text()?)?;
    let meta = fields.bytes()?;
    let Meta(_, name, topic, _) = if meta.is_empty() {
        Meta(1, String::new(), String::new(), None)
    } else {
        record::decode_value("room", &meta)?
    };
    let (seq, messages, epoch) = (fields.number()?, fields.number()?, fields.number()?);
    let ack = ack_of(fields.number()?);
    let last = fields.bytes()?;
    let last = (!last.is_empty())
        .then(|| record::decode(&last))
        .transpose()?;
    let member = fields.bytes()?;
    let membership = (!member.is_empty())
        .then(|| Membership::decode(&member))
        .transpose()?;
    Ok(Some(Overview {
        room: room.clone(),
        kind,
        name,
        topic,
        ack,
        seq,
        messages,
        epoch,
        last,
        membership,
        members: fields.number()?,
        read_seq: fields.number()?,
        messages_read: fields.known()?,
    }))
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "group",
        Kind::Open => "open",
        Kind::Dm => "dm",
        Kind::User => "user",
        Kind::Channel => "channel",
    }
}

pub(crate) fn kind_named(name: &str) -> Result<Kind> {
    match name {
        "group" => Ok(Kind::Group),
        "open" => Ok(Kind::Open),
        "dm" => Ok(Kind::Dm),
        "user" => Ok(Kind::User),
        "channel" => Ok(Kind::Channel),
        other => Err(Error::corrupt("room", format!("kind {other:?}"))),
    }
}

//! Who is in a room.

use chinwag_protocol::event::{Change, Content, Role};
use chinwag_protocol::id::{RoomId, UserId};
use redis::Value;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// How often a change is tried while others change who is the heir.
const HEIRS: usize = 5;

/// What somebody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// What they may do.
    pub role: Role,
    /// The sequence of the event by which they came in.
    pub joined_seq: u64,
}

impl Membership {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (version, role, joined_seq): (u8, u64, u64) = record::decode_value("member", bytes)?;
        if version != 1 {
            return Err(Error::corrupt("member", format!("version {version}")));
        }
        let role = match role {
            1 => Role::Member,
            2 => Role::Admin,
            3 => Role::Owner,
            other => return Err(Error::corrupt("member", format!("role {other}"))),
        };
        Ok(Self { role, joined_seq })
    }
}

pub(crate) fn role_number(role: Role) -> u64 {
    match role {
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

/// What became of a change of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Done, by the event of this sequence.
    Done {
        /// The sequence.
        seq: u64,
    },
    /// It was so already.
    Already,
    /// The actor may not know of such a room.
    NoSuchRoom,
    /// Rooms of this kind do not change their members.
    WrongKind,
}

impl Store {
    /// Lets `user` into a room or out of it. `actor` is who does it, `None` for the server API.
    /// When the owner goes, another becomes it.
    ///
    /// # Errors
    /// `NeedEpoch` and `NeedReconcile` as every write.
    pub async fn change_member(
        &self,
        room: &RoomId,
        actor: Option<&UserId>,
        user: &UserId,
        change: Change,
    ) -> Result<Changed> {
        let partition = self.keys.of_room(room);
        let content = Content::Member {
            user: user.clone(),
            change,
            role: Role::Member,
        };
        let tail = record::tail(actor, None, None, &content);
        let mut heir = None;
        // Who inherits is known in Redis, how the event says so is known here.
        for _ in 0..HEIRS {
            let call = self.change_call(room, actor, user, change, &tail, heir.as_ref());
            let answer = self.link.call(&call).await?;
            let mut fields = Fields::of("change_member", answer)?;
            let (status, seq) = (fields.number()?, fields.number()?);
            match status {
                1 => return Ok(Changed::Done { seq }),
                2 => return Ok(Changed::Already),
                3 => {
                    let epoch = self.epoch(partition).await?;
                    return Err(Error::NeedReconcile {
                        room: room.clone(),
                        epoch,
                    });
                }
                4 => return Ok(Changed::NoSuchRoom),
                5 => return Ok(Changed::WrongKind),
                6 => {
                    let named = Some(fields.text()?).filter(|user| !user.is_empty());
                    let named = named.map(UserId::new).transpose();
                    heir = named.map_err(|error| Error::corrupt("member", error))?;
                }
                other => return Err(Error::corrupt("change_member", format!("status {other}"))),
            }
        }
        Err(Error::Unavailable("the members change too fast".to_owned()))
    }

    fn change_call(
        &self,
        room: &RoomId,
        actor: Option<&UserId>,
        user: &UserId,
        change: Change,
        tail: &[u8],
        heir: Option<&UserId>,
    ) -> Call {
        let keys = self.keys.room(room);
        let partition = self.keys.of_room(room);
        let call = Call::new("change_member")
            .key(self.keys.epoch(partition))
            .key(self.keys.log(partition))
            .key(keys.room)
            .key(keys.history)
            .key(keys.members)
            .key(keys.read)
            .key(keys.channel)
            .key(self.keys.roster(room))
            .arg(room.as_str())
            .arg(change.name())
            .arg(user.as_str())
            .number(role_number(Role::Member))
            .arg(actor.map_or("", UserId::as_str))
            .arg(tail)
            .arg(heir.map_or("", UserId::as_str));
        let Some(heir) = heir else {
            return call.arg("");
        };
        let content = Content::Member {
            user: heir.clone(),
            change: Change::Role,
            role: Role::Owner,
        };
        call.arg(record::tail(None, None, None, &content))
    }

    /// What a user is in a room, if anything.
    ///
    /// # Errors
    /// As every read.
    pub async fn membership(&self, room: &RoomId, user: &UserId) -> Result<Option<Membership>> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.room(room).members).arg(user.as_str());
        let answer = self.link.query("membership", &command).await?;
        let Some(answer) = value::optional(answer) else {
            return Ok(None);
        };
        Membership::decode(&value::bytes("member", answer)?).map(Some)
    }

    /// Of `rooms`, those in which the user is a member, in one round trip.
    ///
    /// # Errors
    /// As every read.
    pub async fn memberships(
        &self,
        rooms: &[RoomId],
        user: &UserId,
    ) -> Result<Vec<Option<Membership>>> {
        let mut pipeline = redis::pipe();
        for room in rooms {
            pipeline
                .cmd("HGET")
                .arg(self.keys.room(room).members)
                .arg(user.as_str());
        }
        let answers = self.link.pipeline("memberships", &pipeline).await?;
        answers
            .into_iter()
            .map(|answer| match value::optional(answer) {
                Some(answer) => Membership::decode(&value::bytes("member", answer)?).map(Some),
                None => Ok(None),
            })
            .collect()
    }

    /// All members of a room, in no order.
    ///
    /// # Errors
    /// As every read.
    pub async fn members(&self, room: &RoomId) -> Result<Vec<(UserId, Membership)>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.room(room).members);
        let answer = self.link.query("members", &command).await?;
        listed(Fields::of("members", answer)?)
    }

    /// At most `limit` members of a room by name, from behind `after` on. Reads no more than that
    /// of a large room.
    ///
    /// # Errors
    /// As every read.
    pub async fn members_page(
        &self,
        room: &RoomId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Membership)>> {
        let (members, roster) = (self.keys.room(room).members, self.keys.roster(room));
        let page = Call::new("members_page")
            .key(members.clone())
            .key(roster.clone())
            .arg(after.map_or("", UserId::as_str))
            .number(limit as u64);
        let mut answer = self.link.call(&page).await?;
        if answer == Value::Array(vec![Value::Int(3)]) {
            let make = Call::new("make_roster").key(members).key(roster);
            self.link.call(&make).await?;
            answer = self.link.call(&page).await?;
        }
        let mut fields = Fields::of("members", answer)?;
        let status = fields.number()?;
        if status == 3 {
            return Err(Error::Unavailable("the members change too fast".to_owned()));
        }
        let mut members = listed(fields)?;
        if status == 1 {
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            members.retain(|(user, _)| after.is_none_or(|after| user > after));
            members.truncate(limit);
        }
        Ok(members)
    }

    /// How many members a room has.
    ///
    /// # Errors
    /// As every read.
    pub async fn member_count(&self, room: &RoomId) -> Result<u64> {
        let mut command = redis::cmd("HLEN");
        command.arg(self.keys.room(room).members);
        let answer: Value = self.link.query("member_count", &command).await?;
        value::number("members", &answer)
    }

    /// The user's rooms by recent activity, before `before` (ms since 1970, exclusive), with the
    /// time of that activity.
    ///
    /// # Errors
    /// As every read.
    pub async fn rooms_of(
        &self,
        user: &UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(RoomId, u64)>> {
        self.rooms_by_score(&self.keys.rooms(user), before, limit)
            .await
    }

    /// Puts a room into lists of users, or moves it up in them, to `time`. Never down. Works when
    /// memory is full.
    ///
    /// # Errors
    /// As every write.
    pub async fn touch_rooms(&self, room: &RoomId, users: &[UserId], time: u64) -> Result<()> {
        let calls: Vec<Call> = users
            .iter()
            .map(|user| {
                Call::new("touch_room")
                    .key(self.keys.rooms(user))
                    .arg(room.as_str())
                    .number(time)
            })
            .collect();
        self.link.calls("touch_rooms", &calls).await.map(drop)
    }

    /// Takes a room out of a user's list.
    ///
    /// # Errors
    /// As every write.
    pub async fn drop_room(&self, room: &RoomId, user: &UserId) -> Result<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(self.keys.rooms(user)).arg(room.as_str());
        self.link.query("drop_room", &command).await.map(drop)
    }
}

/// Pairs of user and record.
fn listed(mut fields: Fields) -> Result<Vec<(UserId, Membership)>> {
    let mut members = Vec::new();
    while !fields.is_empty() {
        let user = UserId::new(fields.text()?).map_err(|error| Error::corrupt("member", error))?;
        members.push((user, Membership::decode(&fields.bytes()?)?));
    }
    Ok(members)
}

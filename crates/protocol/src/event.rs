//! What happens in a room, durably: each event has the next sequence of its room.

use serde::{Deserialize, Serialize};

use crate::ack::Ack;
use crate::id::{ClientId, MessageId, UserId};
use crate::json::Json;

/// Something that happened in a room and is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The room's sequence, dense from 1.
    pub seq: u64,
    /// The partition's epoch when the sequence was given.
    pub epoch: u64,
    /// Milliseconds since 1970, by Redis's clock.
    pub time: u64,
    /// How many messages the room has had, this event included. Unread counts are differences
    /// of this number, so they cannot drift.
    pub messages: u64,
    /// Who did it; nobody for what the server API did.
    pub sender: Option<UserId>,
    /// The connection it came through, if it came through one.
    pub client: Option<ClientId>,
    /// The sender's name for it, if it has one.
    pub id: Option<MessageId>,
    /// What happened.
    pub content: Content,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Data published into a channel as it is.
    Publication {
        /// As published.
        data: Json,
    },
    /// A chat message.
    Message {
        /// Any JSON; `{"text": ...}` or a string is text to people and to search.
        body: Json,
    },
    /// Somebody's membership changed.
    Member {
        /// Whose.
        user: UserId,
        /// How.
        change: Change,
        /// The role after it (the last one, if the member is gone).
        role: Role,
    },
    /// The room itself changed.
    Room {
        /// How.
        change: RoomChange,
        /// The name after it.
        name: String,
        /// The topic after it.
        topic: String,
        /// What it was made as; only of the event by which it came to be.
        made: Option<Made>,
    },
}

impl Content {
    /// Whether it counts as a message for unread marks.
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(self, Content::Message { .. })
    }
}

/// What a room was made as. It stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its kind.
    pub kind: Kind,
    /// How safe messages in it are before they are acknowledged, unless their senders ask for
    /// another level.
    pub ack: Option<Ack>,
}

/// How a membership changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Came in by themselves.
    Joined,
    /// Went by themselves.
    Left,
    /// Was brought in by another.
    Invited,
    /// Was put out by another.
    Removed,
    /// Has another role now.
    Role,
}

impl Change {
    /// As it stands in JSON, in records and in the archive.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Change::Joined => "joined",
            Change::Left => "left",
            Change::Invited => "invited",
            Change::Removed => "removed",
            Change::Role => "role",
        }
    }

    /// Whether the user is a member after it.
    #[must_use]
    pub fn is_member_after(self) -> bool {
        !matches!(self, Change::Left | Change::Removed)
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Manages members as well.
    Admin,
    /// Made the room.
    Owner,
}

/// How a room changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomChange {
    /// It came to be.
    Created,
    /// It has another name.
    Renamed,
    /// It has another topic.
    Topic,
}

impl RoomChange {
    /// As it stands in JSON, in records and in the archive.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RoomChange::Created => "created",
            RoomChange::Renamed => "renamed",
            RoomChange::Topic => "topic",
        }
    }
}

/// The kinds of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Members only; entered by invitation.
    Group,
    /// Members only; anyone with a valid token may join.
    Open,
    /// Two users.
    Dm,
    /// One user's personal channel.
    User,
    /// A plain channel of an open namespace: no members, data is published as it is.
    Channel,
}

/// An event as clients see it in pages of history and, in chat rooms, as a publication's data.
#[derive(Debug, Default, Serialize)]
struct Shown<'a> {
    r#type: &'static str,
    seq: u64,
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
}

impl Event {
    /// The name of what happened, as it stands in `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Publication { .. } => "publication",
            Content::Message { .. } => "message",
            Content::Member { .. } => "member",
            Content::Room { .. } => "room",
        }
    }

    /// The JSON form. A body passes through to the letter.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut shown = Shown {
            r#type: self.kind(),
            seq: self.seq,
            time: self.time,
            id: self.id.as_ref(),
            user: self.sender.as_ref(),
            ..Shown::default()
        };
        match &self.content {
            Content::Publication { data } => spliced(&shown, "data", data),
            Content::Message { body } => spliced(&shown, "body", body),
            Content::Member { user, change, role } => {
                shown.member = Some(user);
                shown.change = Some(change.name());
                shown.role = Some(*role);
                Json::of(&shown)
            }
            Content::Room {
                change,
                name,
                topic,
                made: _,
            } => {
                shown.change = Some(change.name());
                shown.name = Some(name);
                shown.topic = Some(topic);
                Json::of(&shown)
            }
        }
    }
}

/// The object `shown` with one more field, whose value is copied and not parsed again.
fn spliced(shown: &Shown<'_>, field: &str, value: &Json) -> Json {
    let mut text = serde_json::to_vec(shown).unwrap_or_default();
    text.pop();
    text.extend_from_slice(format!(",\"{field}\":").as_bytes());
    text.extend_from_slice(value.as_bytes());
    text.push(b'}');
    Json::trusted(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(content: Content) -> Event {
        Event {
            seq: 12,
            epoch: 1,
            time: 1_732_000_000_000,
            messages: 9,
            sender: Some(UserId::new("ann").unwrap()),
            client: None,
            id: None,
            content,
        }
    }

    #[test]
    fn a_body_passes_through_to_the_letter() {
        let body = Json::new("body", br#"{"text":"hi", "n":1.0}"#, 100).unwrap();
        let mut event = event(Content::Message { body });
        event.id = Some(MessageId::new("m-1").unwrap());
        assert_eq!(
            event.to_json().as_str(),
            r#"{"type":"message","seq":12,"time":1732000000000,"id":"m-1","user":"ann","body":{"text":"hi", "n":1.0}}"#
        );
    }

    #[test]
    fn membership_names_who_and_how() {
        let user = UserId::new("bob").unwrap();
        let event = event(Content::Member {
            user,
            change: Change::Invited,
            role: Role::Member,
        });
        assert_eq!(
            event.to_json().as_str(),
            r#"{"type":"member","seq":12,"time":1732000000000,"user":"ann","member":"bob","change":"invited","role":"member"}"#
        );
    }
}

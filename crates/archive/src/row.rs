//! An event as a row, and back.

use chinwag_protocol::event::{Change, Content, Event, Made, Role, RoomChange};
use chinwag_protocol::id::{ClientId, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_protocol::limit::Violation;
use chinwag_protocol::position::Position;
use serde::{Deserialize, Serialize};

use crate::archive::RecentId;
use crate::error::{Error, Result};
use crate::tokenize;

/// An event and its room.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it happened.
    pub room: RoomId,
    /// What happened.
    pub event: Event,
}

/// A row as SQL takes it. Cheap to make but for the tokens; it owns what it needs, so that it can
/// go to another thread.
#[derive(Debug)]
pub(crate) struct Columns {
    pub room: RoomId,
    pub seq: i64,
    pub epoch: i64,
    pub time: i64,
    pub messages: i64,
    pub kind: &'static str,
    pub sender: Option<UserId>,
    pub client: Option<ClientId>,
    pub message_id: Option<MessageId>,
    pub content: Json,
    /// The tokens of its text, separated by spaces; nothing without text.
    pub tokens: Option<String>,
}

impl Columns {
    /// # Errors
    /// [`Error::Refused`] for a number that SQL cannot hold.
    pub fn of(row: &Row) -> Result<Self> {
        let event = &row.event;
        let number = |name: &str, value: u64| {
            i64::try_from(value).map_err(|_| Error::Refused(format!("{name} {value} is too large")))
        };
        Ok(Self {
            room: row.room.clone(),
            seq: number("seq", event.seq)?,
            epoch: number("epoch", event.epoch)?,
            time: number("time", event.time)?,
            messages: number("messages", event.messages)?,
            kind: event.kind(),
            sender: event.sender.clone(),
            client: event.client.clone(),
            message_id: event.id.clone(),
            content: content(&event.content),
            tokens: tokenize::text_of(&event.content)
                .and_then(|text| tokenize::entry(&row.room, &text)),
        })
    }

    pub fn sender(&self) -> &str {
        sender_column(self.sender.as_ref())
    }
}

/// The column `sender` of an event.
pub(crate) fn sender_column(sender: Option<&UserId>) -> &str {
    sender.map_or("", UserId::as_str)
}

/// All columns of a batch. Making tokens takes microseconds a row, so it lets others run.
pub(crate) async fn columns(rows: &[Row]) -> Result<Vec<Columns>> {
    const AT_ONCE: usize = 64;
    let mut all = Vec::with_capacity(rows.len());
    for some in rows.chunks(AT_ONCE) {
        for row in some {
            all.push(Columns::of(row)?);
        }
        tokio::task::yield_now().await;
    }
    Ok(all)
}

/// A row as SQL gives it.
pub(crate) struct Stored {
    pub room: String,
    pub seq: i64,
    pub epoch: i64,
    pub time: i64,
    pub messages: i64,
    pub kind: String,
    pub sender: String,
    pub client: Option<String>,
    pub message_id: Option<String>,
    pub content: String,
}

/// The columns of `events AS e` in the order of the fields of [`Stored`], for a `SELECT`.
macro_rules! event_columns {
    () => {
        "e.room, e.seq, e.epoch, e.time, e.messages, e.kind, e.sender, e.client, e.message_id, \
         e.content"
    };
}

pub(crate) use event_columns;

impl Stored {
    /// # Errors
    /// [`Error::Corrupt`] if somebody else wrote it.
    pub fn row(self) -> Result<Row> {
        let (room, seq) = (self.room.clone(), unsigned(self.seq));
        self.parsed()
            .map_err(|problem| Error::Corrupt { room, seq, problem })
    }

    fn parsed(self) -> Result<Row, String> {
        let text = |violation: Violation| violation.to_string();
        let sender = Some(self.sender).filter(|sender| !sender.is_empty());
        Ok(Row {
            room: RoomId::new(self.room).map_err(text)?,
            event: Event {
                seq: unsigned(self.seq),
                epoch: unsigned(self.epoch),
                time: unsigned(self.time),
                messages: unsigned(self.messages),
                sender: sender.map(UserId::new).transpose().map_err(text)?,
                client: self.client.map(ClientId::new).transpose().map_err(text)?,
                id: self
                    .message_id
                    .map(MessageId::new)
                    .transpose()
                    .map_err(text)?,
                content: parsed_content(&self.kind, self.content)?,
            },
        })
    }
}

/// The columns of one of [`RecentId`]'s rows, in the order in which both databases select them.
pub(crate) struct StoredId {
    pub seq: i64,
    pub epoch: i64,
    pub time: i64,
    pub sender: String,
    pub message_id: String,
}

impl StoredId {
    /// # Errors
    /// [`Error::Corrupt`] if somebody else wrote it.
    pub fn parsed(self, room: &RoomId) -> Result<RecentId> {
        let seq = unsigned(self.seq);
        let corrupt = |violation: Violation| Error::Corrupt {
            room: room.to_string(),
            seq,
            problem: violation.to_string(),
        };
        let sender = Some(self.sender).filter(|sender| !sender.is_empty());
        Ok(RecentId {
            sender: sender.map(UserId::new).transpose().map_err(corrupt)?,
            id: MessageId::new(self.message_id).map_err(corrupt)?,
            position: Position::new(unsigned(self.epoch), seq),
            time: unsigned(self.time),
        })
    }
}

/// A number that was written as an unsigned one.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[derive(Serialize, Deserialize)]
struct Member {
    user: UserId,
    change: Change,
    role: Role,
}

#[derive(Serialize, Deserialize)]
struct Room {
    change: RoomChange,
    name: String,
    topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<Made>,
}

fn content(content: &Content) -> Json {
    match content {
        Content::Publication { data } => data.clone(),
        Content::Message { body } => body.clone(),
        Content::Member { user, change, role } => Json::of(&Member {
            user: user.clone(),
            change: *change,
            role: *role,
        }),
        Content::Room {
            change,
            name,
            topic,
            made,
        } => Json::of(&Room {
            change: *change,
            name: name.clone(),
            topic: topic.clone(),
            made: *made,
        }),
    }
}

fn parsed_content(kind: &str, content: String) -> Result<Content, String> {
    let bad = |error: serde_json::Error| format!("content: {error}");
    match kind {
        "publication" => Ok(Content::Publication {
            data: Json::trusted(content.into()),
        }),
        "message" => Ok(Content::Message {
            body: Json::trusted(content.into()),
        }),
        "member" => {
            let Member { user, change, role } = serde_json::from_str(&content).map_err(bad)?;
            Ok(Content::Member { user, change, role })
        }
        "room" => {
            let Room {
                change,
                name,
                topic,
                made,
            } = serde_json::from_str(&content).map_err(bad)?;
            Ok(Content::Room {
                change,
                name,
                topic,
                made,
            })
        }
        other => Err(format!("kind {other:?} is unknown to this chinwag")),
    }
}

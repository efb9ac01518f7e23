//! Events as they stand in Redis: MessagePack, versioned, the same bytes in log, ring and channel.
//!
//! A record is an array of nine: version, seq, epoch, time, messages, sender, client, id, content.
//! The append function writes the first five with fixed widths (38 bytes) in front of the tail
//! that the gateway encoded, so no Lua ever parses or rebuilds a body.

use bytes::Bytes;
use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::{Change, Content, Event, Kind, Made, Role, RoomChange};
use chinwag_protocol::id::{ClientId, MessageId, UserId};
use chinwag_protocol::json::Json;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// The version of records that this code writes. It reads this one only; the next version reads
/// both.
pub const VERSION: u8 = 1;

/// The tail of a record: sender, client, id, content, without their array's marker.
#[derive(Serialize)]
struct Tail<'a>(
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
    StoredRef<'a>,
);

/// What can be inside. Variants are stored by their letters.
#[derive(Serialize)]
enum StoredRef<'a> {
    #[serde(rename = "p")]
    Publication(#[serde(with = "serde_bytes")] &'a [u8]),
    #[serde(rename = "m")]
    Message(#[serde(with = "serde_bytes")] &'a [u8]),
    #[serde(rename = "u")]
    Member(&'a str, Change, Role),
    #[serde(rename = "r")]
    Room(RoomChange, &'a str, &'a str),
    #[serde(rename = "c")]
    Created(&'a str, &'a str, Kind, Option<Ack>),
}

/// Version, seq, epoch, time, messages, sender, client, id, content.
type Record = (
    u8,
    u64,
    u64,
    u64,
    u64,
    Option<UserId>,
    Option<ClientId>,
    Option<MessageId>,
    Stored,
);

#[derive(Deserialize)]
enum Stored {
    #[serde(rename = "p")]
    Publication(#[serde(with = "serde_bytes")] Vec<u8>),
    #[serde(rename = "m")]
    Message(#[serde(with = "serde_bytes")] Vec<u8>),
    #[serde(rename = "u")]
    Member(UserId, Change, Role),
    #[serde(rename = "r")]
    Room(RoomChange, String, String),
    #[serde(rename = "c")]
    Created(String, String, Kind, Option<Ack>),
}

/// The tail of the record of an event that Redis has yet to number.
#[must_use]
pub fn tail(
    sender: Option<&UserId>,
    client: Option<&ClientId>,
    id: Option<&MessageId>,
    content: &Content,
) -> Vec<u8> {
    let stored = match content {
        Content::Publication { data } => StoredRef::Publication(data.as_bytes()),
        Content::Message { body } => StoredRef::Message(body.as_bytes()),
        Content::Member { user, change, role } => StoredRef::Member(user.as_str(), *change, *role),
        Content::Room {
            change: RoomChange::Created,
            name,
            topic,
            made: Some(Made { kind, ack }),
        } => StoredRef::Created(name, topic, *kind, *ack),
        Content::Room {
            change,
            name,
            topic,
            made: _,
        } => StoredRef::Room(*change, name, topic),
    };
    let tail = Tail(
        sender.map(UserId::as_str),
        client.map(ClientId::as_str),
        id.map(MessageId::as_str),
        stored,
    );
    let mut bytes = encode(&tail);
    // The marker of the array of four; the whole record's marker counts these elements.
    bytes.remove(0);
    bytes
}

/// Whether a payload of a room's channel is a record (and not a signal).
#[must_use]
pub fn is_record(payload: &[u8]) -> bool {
    payload.first() == Some(&0x99)
}

/// The numbers that the append function writes in front of every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The room's sequence.
    pub seq: u64,
    /// The partition's epoch.
    pub epoch: u64,
    /// Milliseconds since 1970, by Redis's clock.
    pub time: u64,
    /// The room's count of messages.
    pub messages: u64,
}

/// The head of a record, even of one whose tail nobody here can read.
#[must_use]
pub fn head(record: &[u8]) -> Option<Head> {
    let numbers = record.get(2..38).filter(|_| is_record(record))?;
    let mut numbers = numbers.chunks_exact(9).map(|number| match number {
        [0xcf, number @ ..] => number.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    });
    Some(Head {
        seq: numbers.next()??,
        epoch: numbers.next()??,
        time: numbers.next()??,
        messages: numbers.next()??,
    })
}

/// Reads a record.
///
/// # Errors
/// `Corrupt` if it is not one of this version.
pub fn decode(record: &[u8]) -> Result<Event> {
    if record.get(1).is_some_and(|version| *version != VERSION) && is_record(record) {
        let problem = format!("version {:?}, this program reads {VERSION}", record.get(1));
        return Err(Error::corrupt("event", problem));
    }
    let (_, seq, epoch, time, messages, sender, client, id, stored): Record =
        decode_value("event", record)?;
    let content = match stored {
        Stored::Publication(data) => Content::Publication {
            data: trusted(data),
        },
        Stored::Message(body) => Content::Message {
            body: trusted(body),
        },
        Stored::Member(user, change, role) => Content::Member { user, change, role },
        Stored::Room(change, name, topic) => Content::Room {
            change,
            name,
            topic,
            made: None,
        },
        Stored::Created(name, topic, kind, ack) => Content::Room {
            change: RoomChange::Created,
            name,
            topic,
            made: Some(Made { kind, ack }),
        },
    };
    Ok(Event {
        seq,
        epoch,
        time,
        messages,
        sender,
        client,
        id,
        content,
    })
}

/// Bytes that were checked to be JSON before they were stored.
fn trusted(bytes: Vec<u8>) -> Json {
    Json::trusted(Bytes::from(bytes))
}

/// A value of ours as MessagePack.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Only a map with unserialisable keys could fail, and none is stored.
    rmp_serde::to_vec(value).unwrap_or_default()
}

/// Reads a MessagePack value of ours, all of it.
pub(crate) fn decode_value<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    reader.set_max_depth(16);
    let value = T::deserialize(&mut reader).map_err(|error| Error::corrupt(what, error))?;
    if reader.position() != bytes.len() as u64 {
        return Err(Error::corrupt(what, "bytes after its end"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seq: u64, messages: u64) -> Vec<u8> {
        let mut head = vec![0x99, VERSION];
        for number in [seq, 7, 1_732_000_000_000, messages] {
            head.push(0xcf);
            head.extend_from_slice(&number.to_be_bytes());
        }
        head
    }

    fn message() -> (Content, Vec<u8>) {
        let body = Json::new("body", r#"{"text":"你好"}"#.as_bytes(), 100).unwrap();
        let content = Content::Message { body };
        let user = UserId::new("ann").unwrap();
        let id = MessageId::new("m-1").unwrap();
        let tail = tail(Some(&user), None, Some(&id), &content);
        (content, [written(12, 9), tail].concat())
    }

    #[test]
    fn what_is_written_is_read() {
        let (content, record) = message();
        let event = decode(&record).unwrap();
        assert_eq!((event.seq, event.epoch, event.messages), (12, 7, 9));
        assert_eq!(event.content, content);
        assert_eq!(event.id.unwrap().as_str(), "m-1");
    }

    #[test]
    fn how_a_room_was_made_is_read_as_it_was_written() {
        let made = Made {
            kind: Kind::Open,
            ack: Some(Ack::Archived),
        };
        for made in [Some(made), None] {
            let content = Content::Room {
                change: RoomChange::Created,
                name: "General".to_owned(),
                topic: String::new(),
                made,
            };
            let record = [written(1, 0), tail(None, None, None, &content)].concat();
            assert_eq!(decode(&record).unwrap().content, content);
        }
    }

    #[test]
    fn a_head_is_read_whatever_follows() {
        let (_, record) = message();
        let expected = Head {
            seq: 12,
            epoch: 7,
            time: 1_732_000_000_000,
            messages: 9,
        };
        assert_eq!(head(&record), Some(expected));
        assert_eq!(head(&record[..38]), Some(expected));
        assert_eq!(head(&record[..37]), None);
        assert_eq!(
            head(b"rubbish that is longer than any head of a record"),
            None
        );
    }

    #[test]
    fn stored_records_never_change_their_bytes() {
        let (_, record) = message();
        let text: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "9901cf000000000000000ccf0000000000000007cf00000193433ea800cf0000000000000009a3616e6ec0a36d2d3181a16dc4117b2274657874223a22e4bda0e5a5bd227d"
        );
    }

    #[test]
    fn another_version_trailing_bytes_and_rubbish_are_refused() {
        let (_, record) = message();
        let mut newer = record.clone();
        newer[1] = 2;
        assert!(decode(&newer).unwrap_err().to_string().contains("version"));
        let mut longer = record.clone();
        longer.push(0);
        assert!(
            decode(&longer)
                .unwrap_err()
                .to_string()
                .contains("after its end")
        );
        for cut in 0..record.len() {
            assert!(decode(&record[..cut]).is_err());
        }
    }
}

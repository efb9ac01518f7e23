//! Events to archive, and short words for archiving them.

use chinwag_archive::{Archive, Commit, CommitError, Committed, Found, Query, Row, Search};
use chinwag_protocol::event::{Content, Event};
use chinwag_protocol::id::{ClientId, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;

pub const TIME: u64 = 1_732_000_000_000;

pub fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn id(name: &str) -> MessageId {
    MessageId::new(name).unwrap()
}

/// A message of ann's, without an id.
pub fn said(room_name: &str, seq: u64, text: &str) -> Row {
    let body = Json::of(&serde_json::json!({ "text": text }));
    Row {
        room: room(room_name),
        event: Event {
            seq,
            epoch: 1,
            time: TIME + seq,
            messages: seq,
            sender: Some(user("ann")),
            client: Some(ClientId::new("0193-aa").unwrap()),
            id: None,
            content: Content::Message { body },
        },
    }
}

/// A message of ann's with an id.
pub fn named(room_name: &str, seq: u64, message_id: &str, text: &str) -> Row {
    let mut row = said(room_name, seq, text);
    row.event.id = Some(id(message_id));
    row
}

/// Messages of a room, `text <seq>`.
pub fn talk(room_name: &str, seqs: std::ops::RangeInclusive<u64>) -> Vec<Row> {
    seqs.map(|seq| named(room_name, seq, &format!("m{seq}"), &format!("text {seq}")))
        .collect()
}

/// Commits to partition 7 under token 1 and epoch 1.
pub async fn commit(archive: &dyn Archive, rows: &[Row], upto: &str) -> Committed {
    attempt(archive, 1, 1, rows, upto).await.unwrap()
}

pub async fn attempt(
    archive: &dyn Archive,
    token: u64,
    epoch: u64,
    rows: &[Row],
    upto: &str,
) -> Result<Committed, CommitError> {
    archive
        .commit(Commit {
            partition: 7,
            token,
            epoch,
            rows,
            upto,
        })
        .await
}

pub fn events(rows: &[Row]) -> Vec<Event> {
    rows.iter().map(|row| row.event.clone()).collect()
}

pub fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

/// What a query finds in some rooms, as `room/seq`.
pub async fn found(archive: &dyn Archive, rooms: &[&str], query: &str) -> Vec<String> {
    let rooms: Vec<RoomId> = rooms.iter().map(|name| room(name)).collect();
    let query = Query::parse(query).unwrap();
    let search = Search {
        rooms: &rooms,
        query: &query,
        limit: 100,
        before: None,
    };
    let found = archive.search(search).await.unwrap();
    assert_eq!(found.next, None);
    names(&found)
}

pub fn names(found: &Found) -> Vec<String> {
    found
        .matches
        .iter()
        .map(|hit| format!("{}/{}", hit.room, hit.event.seq))
        .collect()
}

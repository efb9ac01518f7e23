//! Reading a room.

use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};
use tokio_postgres::Row;

use super::session::Session;
use crate::archive::{High, RecentId};
use crate::error::Result;
use crate::page::{Range, capped, clamped};
use crate::row::{Stored, StoredId, event_columns, sender_column, unsigned};

pub(super) const HIGH: &str = "
    SELECT seq, messages, epoch, time FROM chinwag.events
    WHERE room = $1 ORDER BY seq DESC LIMIT 1";

pub(super) const MESSAGES_AT: &str = "
    SELECT messages FROM chinwag.events
    WHERE room = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1";

pub(super) const PAGE_UP: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM chinwag.events AS e WHERE room = $1 AND seq BETWEEN $2 AND $3",
    " ORDER BY seq ASC LIMIT $4"
);

pub(super) const PAGE_DOWN: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM chinwag.events AS e WHERE room = $1 AND seq BETWEEN $2 AND $3",
    " ORDER BY seq DESC LIMIT $4"
);

pub(super) const FIND: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM chinwag.events AS e WHERE room = $1 AND sender = $2 AND message_id = $3",
    " AND duplicate_of IS NULL"
);

pub(super) const RECENT_IDS: &str = "
    SELECT seq, epoch, time, sender, message_id FROM chinwag.events
    WHERE room = $1 AND seq > $2 AND message_id IS NOT NULL AND duplicate_of IS NULL
    ORDER BY seq LIMIT $3";

pub(super) async fn high(session: &Session, room: &RoomId) -> Result<Option<High>> {
    let row = session
        .client
        .query_opt(&session.statements.high, &[&room.as_str()])
        .await?;
    Ok(row.map(|row| High {
        seq: unsigned(row.get(0)),
        messages: unsigned(row.get(1)),
        epoch: unsigned(row.get(2)),
        time: unsigned(row.get(3)),
    }))
}

pub(super) async fn messages_at(session: &Session, room: &RoomId, seq: u64) -> Result<Option<u64>> {
    let statement = &session.statements.messages_at;
    let row = session
        .client
        .query_opt(statement, &[&room.as_str(), &clamped(seq)])
        .await?;
    Ok(row.map(|row| unsigned(row.get(0))))
}

pub(super) async fn page(session: &Session, room: &RoomId, range: Range) -> Result<Vec<Event>> {
    let statements = &session.statements;
    let statement = if range.ascending {
        &statements.page_up
    } else {
        &statements.page_down
    };
    let bounds = range.bounds();
    let rows = session
        .client
        .query(
            statement,
            &[&room.as_str(), &bounds.from, &bounds.to, &bounds.limit],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(stored(row, 0)?.row()?.event))
        .collect()
}

pub(super) async fn find(
    session: &Session,
    room: &RoomId,
    sender: Option<&UserId>,
    id: &MessageId,
) -> Result<Option<Event>> {
    let sender = sender_column(sender);
    let row = session
        .client
        .query_opt(
            &session.statements.find,
            &[&room.as_str(), &sender, &id.as_str()],
        )
        .await?;
    row.map(|row| Ok(stored(&row, 0)?.row()?.event)).transpose()
}

pub(super) async fn recent_ids(
    session: &Session,
    room: &RoomId,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<RecentId>> {
    let (after, limit) = (clamped(after_seq), capped(limit));
    let statement = &session.statements.recent_ids;
    let rows = session
        .client
        .query(statement, &[&room.as_str(), &after, &limit])
        .await?;
    let ids = rows.iter().map(|row| {
        let stored = StoredId {
            seq: row.try_get(0)?,
            epoch: row.try_get(1)?,
            time: row.try_get(2)?,
            sender: row.try_get(3)?,
            message_id: row.try_get(4)?,
        };
        stored.parsed(room)
    });
    ids.collect()
}

const HAPPENINGS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM chinwag.events AS e WHERE room = $1 AND seq > $2 AND kind IN ('member', 'room')",
    " ORDER BY seq LIMIT $3"
);

pub(super) async fn happenings(
    session: &Session,
    room: &RoomId,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let (after, limit) = (clamped(after_seq), capped(limit));
    let rows = session
        .client
        .query(HAPPENINGS, &[&room.as_str(), &after, &limit])
        .await?;
    rows.iter()
        .map(|row| Ok(stored(row, 0)?.row()?.event))
        .collect()
}

pub(super) async fn identity(session: &Session) -> Result<String> {
    let row = session
        .client
        .query_one("SELECT word FROM chinwag.identity", &[])
        .await?;
    Ok(row.try_get(0)?)
}

/// The event whose columns begin at `first`.
pub(super) fn stored(row: &Row, first: usize) -> Result<Stored> {
    Ok(Stored {
        room: row.try_get(first)?,
        seq: row.try_get(first + 1)?,
        epoch: row.try_get(first + 2)?,
        time: row.try_get(first + 3)?,
        messages: row.try_get(first + 4)?,
        kind: row.try_get(first + 5)?,
        sender: row.try_get(first + 6)?,
        client: row.try_get(first + 7)?,
        message_id: row.try_get(first + 8)?,
        content: row.try_get(first + 9)?,
    })
}

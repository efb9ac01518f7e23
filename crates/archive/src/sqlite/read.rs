//! Reading a room.

use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::archive::{High, RecentId};
use crate::error::Result;
use crate::page::{Range, capped, clamped};
use crate::row::{Stored, StoredId, event_columns, sender_column, unsigned};

pub(super) fn high(connection: &Connection, room: &RoomId) -> Result<Option<High>> {
    let select = "
        SELECT seq, messages, epoch, time FROM events
        WHERE room = ?1 ORDER BY seq DESC LIMIT 1";
    let high = connection
        .prepare_cached(select)?
        .query_row([room.as_str()], |row| {
            Ok(High {
                seq: unsigned(row.get(0)?),
                messages: unsigned(row.get(1)?),
                epoch: unsigned(row.get(2)?),
                time: unsigned(row.get(3)?),
            })
        })
        .optional()?;
    Ok(high)
}

pub(super) fn messages_at(connection: &Connection, room: &RoomId, seq: u64) -> Result<Option<u64>> {
    let select = "
        SELECT messages FROM events
        WHERE room = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1";
    let messages = connection
        .prepare_cached(select)?
        .query_row(params![room.as_str(), clamped(seq)], |row| row.get(0))
        .optional()?;
    Ok(messages.map(unsigned))
}

pub(super) fn page(connection: &Connection, room: &RoomId, range: Range) -> Result<Vec<Event>> {
    let select = if range.ascending {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM events AS e WHERE room = ?1 AND seq BETWEEN ?2 AND ?3",
            " ORDER BY seq ASC LIMIT ?4"
        )
    } else {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM events AS e WHERE room = ?1 AND seq BETWEEN ?2 AND ?3",
            " ORDER BY seq DESC LIMIT ?4"
        )
    };
    let bounds = range.bounds();
    let mut statement = connection.prepare_cached(select)?;
    let values = params![room.as_str(), bounds.from, bounds.to, bounds.limit];
    let rows = statement.query_map(values, |row| stored(row, 0))?;
    rows.map(|stored| Ok(stored?.row()?.event)).collect()
}

pub(super) fn find(
    connection: &Connection,
    room: &RoomId,
    sender: Option<&UserId>,
    id: &MessageId,
) -> Result<Option<Event>> {
    let select = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events AS e WHERE room = ?1 AND sender = ?2 AND message_id = ?3",
        " AND duplicate_of IS NULL"
    );
    let values = params![room.as_str(), sender_column(sender), id.as_str()];
    let stored = connection
        .prepare_cached(select)?
        .query_row(values, |row| stored(row, 0))
        .optional()?;
    Ok(stored.map(Stored::row).transpose()?.map(|row| row.event))
}

pub(super) fn recent_ids(
    connection: &Connection,
    room: &RoomId,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<RecentId>> {
    let select = "
        SELECT seq, epoch, time, sender, message_id FROM events
        WHERE room = ?1 AND seq > ?2 AND message_id IS NOT NULL AND duplicate_of IS NULL
        ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(select)?;
    let values = params![room.as_str(), clamped(after_seq), capped(limit)];
    let rows = statement.query_map(values, |row| {
        Ok(StoredId {
            seq: row.get(0)?,
            epoch: row.get(1)?,
            time: row.get(2)?,
            sender: row.get(3)?,
            message_id: row.get(4)?,
        })
    })?;
    rows.map(|stored| stored?.parsed(room)).collect()
}

pub(super) fn happenings(
    connection: &Connection,
    room: &RoomId,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let select = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events AS e INDEXED BY events_happenings",
        " WHERE room = ?1 AND seq > ?2 AND kind IN ('member', 'room') ORDER BY seq LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(select)?;
    let values = params![room.as_str(), clamped(after_seq), capped(limit)];
    let rows = statement.query_map(values, |row| stored(row, 0))?;
    rows.map(|stored| Ok(stored?.row()?.event)).collect()
}

pub(super) fn identity(connection: &Connection) -> Result<String> {
    let identity = connection.query_row("SELECT word FROM identity", [], |row| row.get(0))?;
    Ok(identity)
}

/// The event whose columns begin at `first`.
pub(super) fn stored(row: &Row<'_>, first: usize) -> rusqlite::Result<Stored> {
    Ok(Stored {
        room: row.get(first)?,
        seq: row.get(first + 1)?,
        epoch: row.get(first + 2)?,
        time: row.get(first + 3)?,
        messages: row.get(first + 4)?,
        kind: row.get(first + 5)?,
        sender: row.get(first + 6)?,
        client: row.get(first + 7)?,
        message_id: row.get(first + 8)?,
        content: row.get(first + 9)?,
    })
}

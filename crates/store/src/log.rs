//! Reading the partitions' logs.

use bytes::Bytes;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use redis::Value;

use crate::error::{Error, Result};
use crate::partition::Partition;
pub use crate::reader::Reader;
use crate::record;
use crate::value::{self, Fields};

/// The place of an entry in a partition's log: epoch and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct LogId {
    /// The partition's epoch.
    pub epoch: u64,
    /// Counts up within the epoch.
    pub number: u64,
}

impl std::fmt::Display for LogId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for LogId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').and_then(|(epoch, number)| {
            Some(Self {
                epoch: epoch.parse().ok()?,
                number: number.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| Error::corrupt("log id", format!("{text:?}")))
    }
}

/// One entry of a log. What cannot be read is kept as it is: a worker decides what to do with it,
/// and the log goes on.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub id: LogId,
    /// The room it belongs to, unless somebody else wrote this entry.
    pub room: Option<RoomId>,
    /// What happened, or why it cannot be read.
    pub event: Result<Event>,
    /// The record itself.
    pub record: Bytes,
}

impl Entry {
    /// The room and what happened in it, if both can be read.
    #[must_use]
    pub fn read(&self) -> Option<(&RoomId, &Event)> {
        Some((self.room.as_ref()?, self.event.as_ref().ok()?))
    }
}

/// What one read brought of one partition, in order, never empty.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The partition.
    pub partition: Partition,
    /// The partition's epoch, read before the entries and from the same server. So whoever
    /// archives under it can tell the archive which history these entries are of: a server that
    /// was replaced meanwhile has an epoch that the archive no longer takes.
    pub epoch: u64,
    /// Its next entries, none of them of a later epoch.
    pub entries: Vec<Entry>,
}

/// The streams in an answer to `XREAD`, each with its entries.
pub(crate) fn streams(answer: Value) -> Result<Vec<(String, Value)>> {
    let mut fields = Fields::of("xread", answer)?;
    let mut streams = Vec::new();
    while !fields.is_empty() {
        // RESP2 pairs key and entries in arrays; RESP3's map is flattened by `Fields`.
        streams.push(match fields.value()? {
            pair @ Value::Array(_) => {
                let mut pair = Fields::of("xread", pair)?;
                (pair.text()?, pair.value()?)
            }
            key => (value::text("xread", key)?, fields.value()?),
        });
    }
    Ok(streams)
}

pub(crate) fn entries(answer: Value) -> Result<Vec<Entry>> {
    let mut fields = Fields::of("log", answer)?;
    let mut entries = Vec::new();
    while !fields.is_empty() {
        let mut entry = Fields::of("log entry", fields.value()?)?;
        let id: LogId = entry.text()?.parse()?;
        entries.push(self::entry(id, entry.value()?));
    }
    Ok(entries)
}

/// An entry of this content. It never fails: one entry that somebody else wrote would stop the
/// logs of all partitions.
fn entry(id: LogId, content: Value) -> Entry {
    let fields = || -> Result<(Option<RoomId>, Bytes)> {
        let mut pairs = Fields::of("log entry", content)?;
        let (mut room, mut record) = (None, Bytes::new());
        while !pairs.is_empty() {
            match pairs.bytes()?.as_ref() {
                b"r" => room = pairs.text().ok().and_then(|room| RoomId::new(room).ok()),
                b"e" => record = pairs.bytes()?,
                _ => drop(pairs.value()?),
            }
        }
        Ok((room, record))
    };
    let (room, record) = fields().unwrap_or_default();
    let event = match room {
        Some(_) => record::decode(&record),
        None => Err(Error::corrupt("log entry", "no valid room")),
    };
    Entry {
        id,
        room,
        event,
        record,
    }
}

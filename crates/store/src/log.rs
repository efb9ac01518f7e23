//! Reading the partitions' logs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use redis::Value;

use crate::connect::Link;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::partition::Partition;
use crate::record;
use crate::store::Store;
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

/// A connection of its own on which a worker waits for entries: a blocking read would stop all
/// other commands on a shared one.
pub struct Reader {
    link: Link,
    keys: Arc<Keys>,
    count: usize,
    wait: Duration,
    /// Epochs as read on the connection of this generation.
    epochs: BTreeMap<Partition, u64>,
    generation: u64,
}

impl Store {
    /// A reader that gives at most `count` entries a partition at a time and waits at most `wait`.
    ///
    /// # Errors
    /// `Unavailable` if the address is not valid.
    pub fn reader(&self, count: usize, wait: Duration) -> Result<Reader> {
        let slack = self.config.response_timeout;
        let config = self
            .config
            .connection()
            .set_response_timeout(Some(wait + slack));
        let link = Link::new(self.config.client()?, config, "reader");
        Ok(Reader {
            link,
            keys: Arc::clone(&self.keys),
            count,
            wait,
            epochs: BTreeMap::new(),
            generation: 0,
        })
    }
}

impl Reader {
    /// The next entries of logs, each after its place. May be empty even before the wait is over.
    ///
    /// # Errors
    /// As every read.
    pub async fn read(&mut self, places: &[(Partition, LogId)]) -> Result<Vec<Batch>> {
        let unknown: Vec<Partition> = places
            .iter()
            .map(|(partition, _)| *partition)
            .filter(|partition| !self.epochs.contains_key(partition))
            .collect();
        let mut pipeline = redis::pipe();
        for partition in &unknown {
            let key = self.keys.epoch(*partition);
            pipeline.cmd("HGET").arg(key).arg("epoch");
        }
        pipeline.add_command(self.command(places));
        let (answers, generation) = self.link.pipeline_on("xread", &pipeline).await?;
        if generation != self.generation {
            // Another connection may be to another server.
            self.epochs.clear();
            self.generation = generation;
        }
        let mut answers = answers.into_iter();
        for (partition, answer) in unknown.iter().zip(&mut answers) {
            let epoch = value::optional(answer)
                .map(|answer| value::number("epoch", &answer))
                .transpose()?;
            self.epochs.insert(*partition, epoch.unwrap_or(0));
        }
        self.batches(places, answers.next().unwrap_or_default())
    }

    fn command(&self, places: &[(Partition, LogId)]) -> redis::Cmd {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(self.count);
        command
            .arg("BLOCK")
            .arg(u64::try_from(self.wait.as_millis()).unwrap_or(1000));
        command.arg("STREAMS");
        for (partition, _) in places {
            command.arg(self.keys.log(*partition));
        }
        for (_, id) in places {
            command.arg(id.to_string());
        }
        command
    }

    fn batches(&mut self, places: &[(Partition, LogId)], answer: Value) -> Result<Vec<Batch>> {
        let mut fields = Fields::of("xread", answer)?;
        let mut batches = Vec::new();
        while !fields.is_empty() {
            // RESP2 pairs key and entries in arrays; RESP3's map is flattened by `Fields`.
            let (key, answer) = match fields.value()? {
                pair @ Value::Array(_) => {
                    let mut pair = Fields::of("xread", pair)?;
                    (pair.text()?, pair.value()?)
                }
                key => (value::text("xread", key)?, fields.value()?),
            };
            let place = places
                .iter()
                .find(|(partition, _)| self.keys.log(*partition) == key);
            let Some((partition, _)) = place else {
                continue;
            };
            let Some(epoch) = self.epochs.get(partition).copied() else {
                continue;
            };
            let mut entries = entries(answer)?;
            if entries.iter().any(|entry| entry.id.epoch > epoch) {
                // Installed since it was read: the next read asks again.
                self.epochs.remove(partition);
                entries.retain(|entry| entry.id.epoch <= epoch);
            }
            if !entries.is_empty() {
                batches.push(Batch {
                    partition: *partition,
                    epoch,
                    entries,
                });
            }
        }
        Ok(batches)
    }

    /// Asks for a partition's epoch anew at the next read.
    pub fn forget(&mut self, partition: Partition) {
        self.epochs.remove(&partition);
    }
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

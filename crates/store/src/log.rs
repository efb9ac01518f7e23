//! Reading the partitions' logs, and marking how far a worker has come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use redis::Value;

use crate::connect::{Call, Link};
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::lease::Lease;
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

/// One entry of a log. A record that cannot be read is kept as it is: a worker decides what to
/// do with it, and the log goes on.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub id: LogId,
    /// The room it belongs to.
    pub room: RoomId,
    /// What happened, or why it cannot be read.
    pub event: Result<Event>,
    /// The record itself.
    pub record: Bytes,
}

/// What one read brought of one partition, in order, never empty.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The partition.
    pub partition: Partition,
    /// Its next entries.
    pub entries: Vec<Entry>,
}

/// A connection of its own on which a worker waits for entries: a blocking read would stop all
/// other commands on a shared one.
pub struct Reader {
    link: Link,
    keys: Arc<Keys>,
    count: usize,
    wait: Duration,
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
        })
    }

    /// Up to where a role has done a partition's log.
    ///
    /// # Errors
    /// As every read.
    pub async fn mark(&self, partition: Partition, role: &str) -> Result<LogId> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.mark(partition)).arg(role);
        let answer = self.link.query("mark", &command).await?;
        match value::optional(answer) {
            Some(answer) => value::text("mark", answer)?.parse(),
            None => Ok(LogId::default()),
        }
    }

    /// Records that the lease's holder has done everything up to `id`, `count` entries more than
    /// before, and trims what all of `trim_after` have done. Says how many entries were trimmed.
    ///
    /// # Errors
    /// `Fenced` if the lease is no longer held.
    pub async fn move_mark(
        &self,
        lease: &Lease,
        id: LogId,
        count: usize,
        trim_after: &[&str],
    ) -> Result<u64> {
        let call = Call::new("move_mark")
            .key(self.keys.lease(lease.partition, lease.role))
            .key(self.keys.mark(lease.partition))
            .key(self.keys.log(lease.partition))
            .arg(lease.holder())
            .arg(lease.role)
            .arg(id.to_string())
            .number(count as u64)
            .arg(trim_after.join(" "));
        value::number("mark", &self.link.call(&call).await?)
    }

    /// How many entries partitions' logs have after given places, as `XINFO`-like lag, and the
    /// time of the first of them (ms since 1970, `None` if there is none).
    ///
    /// # Errors
    /// As every read.
    pub async fn backlog(&self, places: &[(Partition, LogId)]) -> Result<Vec<Backlog>> {
        let mut pipeline = redis::pipe();
        for (partition, id) in places {
            let log = self.keys.log(*partition);
            pipeline.cmd("XLEN").arg(&log);
            pipeline
                .cmd("XRANGE")
                .arg(&log)
                .arg(format!("({id}"))
                .arg("+")
                .arg("COUNT")
                .arg(1);
        }
        let mut answers = self.link.pipeline("backlog", &pipeline).await?.into_iter();
        let mut found = Vec::with_capacity(places.len());
        for _ in places {
            let length = value::number("backlog", &answers.next().unwrap_or_default())?;
            let entries = entries(answers.next().unwrap_or_default())?;
            let oldest = entries.first().and_then(|entry| entry.event.as_ref().ok());
            found.push(Backlog {
                length,
                oldest_time: oldest.map(|event| event.time),
            });
        }
        Ok(found)
    }
}

/// What is left of a log after a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Entries in the log, done ones that are not trimmed yet included.
    pub length: u64,
    /// The time of the first entry after the place, in milliseconds since 1970.
    pub oldest_time: Option<u64>,
}

impl Reader {
    /// The next entries of logs, each after its place. Empty if nothing came within the wait.
    ///
    /// # Errors
    /// As every read.
    pub async fn read(&self, places: &[(Partition, LogId)]) -> Result<Vec<Batch>> {
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
        let answer = self.link.query("xread", &command).await?;
        let mut fields = Fields::of("xread", answer)?;
        let mut batches = Vec::new();
        while !fields.is_empty() {
            // RESP2 pairs key and entries in arrays; RESP3's map is flattened by `Fields`.
            let (key, entries_answer) = match fields.value()? {
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
            let entries = entries(entries_answer)?;
            if !entries.is_empty() {
                batches.push(Batch {
                    partition: *partition,
                    entries,
                });
            }
        }
        Ok(batches)
    }
}

fn entries(answer: Value) -> Result<Vec<Entry>> {
    let mut fields = Fields::of("log", answer)?;
    let mut entries = Vec::new();
    while !fields.is_empty() {
        let mut entry = Fields::of("log entry", fields.value()?)?;
        let id: LogId = entry.text()?.parse()?;
        let mut pairs = Fields::of("log entry", entry.value()?)?;
        let (mut room, mut record) = (None, Bytes::new());
        while !pairs.is_empty() {
            match pairs.text()?.as_str() {
                "r" => room = Some(pairs.text()?),
                "e" => record = pairs.bytes()?,
                _ => drop(pairs.value()?),
            }
        }
        let room = room.ok_or_else(|| Error::corrupt("log entry", "no room"))?;
        let room = RoomId::new(room).map_err(|error| Error::corrupt("log entry", error))?;
        entries.push(Entry {
            id,
            room,
            event: record::decode(&record),
            record,
        });
    }
    Ok(entries)
}

//! How far workers have come in the partitions' logs, and what is left.

use std::collections::BTreeMap;

use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use redis::Value;

use crate::connect::Call;
use crate::error::Result;
use crate::lease::Lease;
use crate::log::{self, LogId};
use crate::partition::Partition;
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// Rooms in one call, so that it stays well under a millisecond of Redis's time.
const MARKED_AT_ONCE: usize = 128;

/// What has become of an event that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is archived.
    Archived,
    /// It is in Redis.
    Waits,
    /// It may be gone, or only this Redis does not know it. The archive is to be asked.
    Doubtful,
}

/// What is left of a log after a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries in the log, done ones that are not trimmed yet included.
    pub length: u64,
    /// Entries after the place. As Redis counts it for the role's group; all entries if the role
    /// has never moved its mark.
    pub behind: u64,
    /// The time of the first entry after the place, in milliseconds since 1970.
    pub oldest_time: Option<u64>,
}

impl Store {
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

    /// Tells Redis up to where rooms are archived, so that their rings may let go of it, and
    /// everybody who listens. Works when memory is full.
    ///
    /// # Errors
    /// As every write.
    pub async fn mark_archived(&self, rooms: &[(RoomId, Position)]) -> Result<()> {
        let mut partitions: BTreeMap<u16, Vec<&(RoomId, Position)>> = BTreeMap::new();
        for one in rooms {
            let partition = self.keys.of_room(&one.0);
            partitions.entry(partition.0).or_default().push(one);
        }
        let mut calls = Vec::new();
        for (partition, rooms) in &partitions {
            for some in rooms.chunks(MARKED_AT_ONCE) {
                let mut call = Call::new("mark_archived")
                    .key(self.keys.archived(Partition(*partition)))
                    .arg(encode_archived(some));
                for (room, position) in some {
                    let keys = self.keys.room(room);
                    call = call.key(keys.room).key(keys.history).number(position.seq);
                }
                calls.push(call);
            }
        }
        self.link.calls("mark_archived", &calls).await.map(drop)
    }

    /// What has become of places in rooms, as far as Redis was told, in one round trip.
    ///
    /// # Errors
    /// As every read.
    pub async fn fates(&self, places: &[(RoomId, Position)]) -> Result<Vec<Fate>> {
        let calls: Vec<Call> = places
            .iter()
            .map(|(room, position)| {
                Call::new("fate")
                    .key(self.keys.room(room).room)
                    .number(position.epoch)
                    .number(position.seq)
            })
            .collect();
        let answers = self.link.calls("fate", &calls).await?;
        let fate = |answer| match value::number("fate", answer)? {
            1 => Ok(Fate::Archived),
            2 => Ok(Fate::Waits),
            _ => Ok(Fate::Doubtful),
        };
        answers.iter().map(fate).collect()
    }

    /// What is left of partitions' logs for a role that has done them up to given places.
    ///
    /// # Errors
    /// As every read.
    pub async fn backlog(&self, role: &str, places: &[(Partition, LogId)]) -> Result<Vec<Backlog>> {
        let mut lengths = redis::pipe();
        for (partition, _) in places {
            lengths.cmd("XLEN").arg(self.keys.log(*partition));
        }
        let lengths = self.link.pipeline("backlog", &lengths).await?;
        let mut found = Vec::with_capacity(places.len());
        for length in &lengths {
            found.push(Backlog {
                length: value::number("backlog", length)?,
                ..Backlog::default()
            });
        }
        self.details(role, places, &mut found).await?;
        Ok(found)
    }

    /// Asks after logs that exist: about the groups of another one would be an error.
    async fn details(
        &self,
        role: &str,
        places: &[(Partition, LogId)],
        found: &mut [Backlog],
    ) -> Result<()> {
        let exists = |(_, backlog): &(_, &mut Backlog)| backlog.length > 0;
        let mut asked: Vec<_> = places.iter().zip(found).filter(exists).collect();
        let mut pipeline = redis::pipe();
        for ((partition, id), _) in &asked {
            let log = self.keys.log(*partition);
            let after = format!("({id}");
            pipeline.cmd("XINFO").arg("GROUPS").arg(&log);
            pipeline.cmd("XRANGE").arg(&log).arg(after).arg("+");
            pipeline.arg("COUNT").arg(1);
        }
        let mut answers = self.link.pipeline("backlog", &pipeline).await?.into_iter();
        for (_, backlog) in &mut asked {
            let groups = answers.next().unwrap_or_default();
            let oldest = log::entries(answers.next().unwrap_or_default())?;
            if let Some(entry) = oldest.first() {
                backlog.behind = lag(groups, role)?.unwrap_or(backlog.length).max(1);
                backlog.oldest_time = record::head(&entry.record).map(|head| head.time);
            }
        }
        Ok(())
    }
}

/// The lag of a role's group, if Redis knows it.
fn lag(groups: Value, role: &str) -> Result<Option<u64>> {
    let mut groups = Fields::of("groups", groups)?;
    while !groups.is_empty() {
        let mut pairs = Fields::of("group", groups.value()?)?;
        let (mut name, mut lag) = (String::new(), Value::Nil);
        while !pairs.is_empty() {
            match pairs.text()?.as_str() {
                "name" => name = pairs.text()?,
                "lag" => lag = pairs.value()?,
                _ => drop(pairs.value()?),
            }
        }
        if name == role {
            return value::optional(lag)
                .map(|lag| value::number("lag", &lag))
                .transpose();
        }
    }
    Ok(None)
}

/// What is said on the channel of what is archived: a list of room, epoch, sequence.
fn encode_archived(rooms: &[&(RoomId, Position)]) -> Vec<u8> {
    let rooms: Vec<(&str, u64, u64)> = rooms
        .iter()
        .map(|(room, position)| (room.as_str(), position.epoch, position.seq))
        .collect();
    record::encode(&rooms)
}

/// Reads what is said on the channel of what is archived.
pub(crate) fn decode_archived(payload: &[u8]) -> Result<Vec<(RoomId, Position)>> {
    let rooms: Vec<(RoomId, u64, u64)> = record::decode_value("archived", payload)?;
    Ok(rooms
        .into_iter()
        .map(|(room, epoch, seq)| (room, Position::new(epoch, seq)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_archived_is_read_as_it_was_said() {
        let told = (RoomId::new("room:abc").unwrap(), Position::new(3, 12));
        let said = encode_archived(&[&told]);
        assert_eq!(
            said,
            [b"\x91\x93\xa8room:abc".as_slice(), &[3, 12]].concat()
        );
        assert_eq!(decode_archived(&said).unwrap(), [told]);
    }
}

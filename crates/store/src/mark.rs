//! How far workers have come in the partitions' logs, and what is left.

use redis::Value;

use crate::connect::Call;
use crate::error::Result;
use crate::lease::Lease;
use crate::log::{self, LogId};
use crate::partition::Partition;
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

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

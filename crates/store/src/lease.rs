//! Leases: on the names of processes, and of workers on partitions. All time is Redis's.

use chinwag_protocol::id::Incarnation;
use std::time::Duration;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::keys::{GATEWAYS, Keys};
use crate::partition::Partition;
use crate::store::Store;
use crate::value::{self, Fields};

/// A worker's hold on a partition. Effects carry it, and are refused when it is no longer true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub partition: Partition,
    /// The role that holds it.
    pub role: &'static str,
    /// The process that holds it.
    pub incarnation: Incarnation,
    /// Grows with each new holder of the partition in this role.
    pub token: u64,
}

impl Lease {
    /// The value of the lease's key while it is held.
    pub(crate) fn holder(&self) -> String {
        format!("{} {}", self.incarnation, self.token)
    }
}

/// A process that has a lease on its name, or had one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub incarnation: Incarnation,
    /// When its lease ends or ended, in milliseconds since 1970 by Redis's clock.
    pub expiry: u64,
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// Begins (`begin`) or renews the lease of a gateway's name. `false`: it ran out, and what the
    /// gateway held may have been given away; it must close its connections and take a new name.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_gateway(
        &self,
        name: &Incarnation,
        lease: Duration,
        begin: bool,
    ) -> Result<bool> {
        self.renew(GATEWAYS.to_owned(), name, lease, begin).await
    }

    /// Begins or renews the lease of a worker's name in its role.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_worker(
        &self,
        role: &'static str,
        name: &Incarnation,
        lease: Duration,
        begin: bool,
    ) -> Result<bool> {
        self.renew(Keys::workers(role), name, lease, begin).await
    }

    async fn renew(
        &self,
        key: String,
        name: &Incarnation,
        lease: Duration,
        begin: bool,
    ) -> Result<bool> {
        let call = Call::new("renew_incarnation")
            .key(key)
            .arg(name.as_str())
            .number(milliseconds(lease))
            .number(u64::from(begin));
        let answer = self.link.call(&call).await?;
        let mut fields = Fields::of("lease", answer)?;
        let alive = fields.number()? == 1;
        self.clock.learn(fields.number()?);
        Ok(alive)
    }

    /// Ends the lease of a gateway's name at once.
    ///
    /// # Errors
    /// As every write.
    pub async fn retire_gateway(&self, name: &Incarnation) -> Result<()> {
        // It stays for the sweep, as one that has just run out; also if the server has lost it.
        let mut command = redis::cmd("ZADD");
        command.arg(GATEWAYS).arg(self.now()).arg(name.as_str());
        self.link.query("retire_gateway", &command).await.map(drop)
    }

    /// Ends the lease of a worker's name at once, so that others take its share.
    ///
    /// # Errors
    /// As every write.
    pub async fn retire_worker(&self, role: &'static str, name: &Incarnation) -> Result<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(Keys::workers(role)).arg(name.as_str());
        self.link.query("retire_worker", &command).await.map(drop)
    }

    /// Tells the workers of a role that partitions become free, or are. Says how many heard it, the
    /// one who says it included, if it listens.
    ///
    /// # Errors
    /// As every write.
    pub async fn tell_handover(&self, role: &'static str) -> Result<u64> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(Keys::handover(role)).arg("");
        let answer = self.link.query("publish", &command).await?;
        value::number("handover", &answer)
    }

    /// All gateways that are alive or died within the last hour, and the server's time.
    ///
    /// # Errors
    /// As every read. A failure says nothing about who is alive.
    pub async fn gateways(&self) -> Result<(Vec<Process>, u64)> {
        self.processes(GATEWAYS.to_owned()).await
    }

    /// All workers of a role that are alive or died lately, and the server's time.
    ///
    /// # Errors
    /// As every read.
    pub async fn workers(&self, role: &'static str) -> Result<(Vec<Process>, u64)> {
        self.processes(Keys::workers(role)).await
    }

    async fn processes(&self, key: String) -> Result<(Vec<Process>, u64)> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZRANGE")
            .arg(key)
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .cmd("TIME");
        let mut answers = self
            .link
            .pipeline("processes", &pipeline)
            .await?
            .into_iter();
        let mut fields = Fields::of("processes", answers.next().unwrap_or_default())?;
        let mut time = Fields::of("time", answers.next().unwrap_or_default())?;
        let now = time.number()? * 1000 + time.number()? / 1000;
        let mut found = Vec::new();
        while !fields.is_empty() {
            let (name, expiry) = match fields.value()? {
                pair @ redis::Value::Array(_) => {
                    let mut pair = Fields::of("processes", pair)?;
                    (pair.text()?, pair.number()?)
                }
                name => (value::text("processes", name)?, fields.number()?),
            };
            let incarnation =
                Incarnation::new(name).map_err(|error| Error::corrupt("lease", error))?;
            found.push(Process {
                incarnation,
                expiry,
            });
        }
        Ok((found, now))
    }

    /// Takes or renews a lease on a partition. `None`: another process holds it. The token of a
    /// lease that is newly taken is higher than any before and than `above`.
    ///
    /// # Errors
    /// As every write.
    pub async fn take_lease(
        &self,
        partition: Partition,
        role: &'static str,
        name: &Incarnation,
        lease: Duration,
        above: u64,
    ) -> Result<Option<Lease>> {
        let call = Call::new("take_lease")
            .key(self.keys.lease(partition, role))
            .key(self.keys.mark(partition))
            .arg(name.as_str())
            .number(milliseconds(lease))
            .arg(role)
            .number(above);
        let token = value::number("lease", &self.link.call(&call).await?)?;
        let incarnation = name.clone();
        Ok((token > 0).then_some(Lease {
            partition,
            role,
            incarnation,
            token,
        }))
    }

    /// Gives a partition back at once.
    ///
    /// # Errors
    /// As every write.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let call = Call::new("release_lease")
            .key(self.keys.lease(lease.partition, lease.role))
            .arg(lease.incarnation.as_str());
        self.link.call(&call).await.map(drop)
    }
}

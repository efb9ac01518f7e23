//! The epoch of a partition: which one is current, and what was written in it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;
use ring::rand::{SecureRandom, SystemRandom};

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::partition::Partition;
use crate::route::Aim;
use crate::store::Store;
use crate::topology::Address;
use crate::value::{self, Fields};

/// What is installed in a partition; the default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstalledEpoch {
    /// The run of Redis for which it was allocated.
    pub run_id: String,
    /// The epoch.
    pub epoch: u64,
}

impl Store {
    /// The name under which the archive is to be asked for an epoch of the reign `run_id`. It
    /// changes when somebody empties Redis while it runs, so that no epoch comes back in which
    /// the same sequences were given to other events.
    ///
    /// Where sentinels watch, most of them must hold the server that answered for the primary: one
    /// that was replaced, and does not know it yet, would get an epoch above its successor's.
    ///
    /// # Errors
    /// As every write, and `Unavailable` if the sentinels mean another server.
    pub async fn claim_epoch(&self, partition: Partition) -> Result<String> {
        let claim = self.generation(partition).await?;
        self.link.placement().confirm().await?;
        Ok(claim)
    }

    /// What a partition's server was told after it gave the same answer here, it still has. It
    /// gives another when it was restarted, promoted or emptied: then the last of it may be gone.
    ///
    /// # Errors
    /// As every write.
    pub async fn generation(&self, partition: Partition) -> Result<String> {
        let mut random = [0; 8];
        let failed = |_| Error::Unavailable("no randomness".to_owned());
        SystemRandom::new().fill(&mut random).map_err(failed)?;
        let call = Call::new("claim_epoch")
            .key(self.keys.epoch(partition))
            .arg(format!("{:016x}", u64::from_be_bytes(random)));
        value::text("epoch", self.link.call(&call).await?)
    }

    /// A partition of each server: what becomes of one becomes of all that the server has.
    #[must_use]
    pub fn one_of_each_server(&self) -> Vec<Partition> {
        let map = self.link.placement().map();
        let partitions = (0..self.keys.partitions()).map(Partition);
        let mut servers: BTreeMap<&Address, Partition> = BTreeMap::new();
        for partition in partitions {
            let aim = Aim::at(self.keys.epoch(partition).as_bytes());
            if let Some(address) = map.owner(aim) {
                servers.entry(address).or_insert(partition);
            }
        }
        servers.into_values().collect()
    }

    /// Makes an epoch that the archive allocated the current one of a partition. `run_id` is the
    /// reign or, better, what [`Store::claim_epoch`] made of it.
    ///
    /// # Errors
    /// `Fenced` if a later one is installed already, `NeedEpoch` if the server was restarted
    /// again meanwhile.
    pub async fn install_epoch(
        &self,
        partition: Partition,
        epoch: u64,
        run_id: &str,
    ) -> Result<()> {
        let call = Call::new("install_epoch")
            .key(self.keys.epoch(partition))
            .number(epoch)
            .arg(run_id);
        self.link.call(&call).await.map(drop)
    }

    /// Whether the partition has an epoch of this reign.
    ///
    /// # Errors
    /// `NeedEpoch` if it has not.
    pub async fn fenced_epoch(&self, partition: Partition) -> Result<()> {
        let call = Call::new("fenced_epoch").key(self.keys.epoch(partition));
        self.link.call(&call).await.map(drop)
    }

    /// Waits, `wait` at most, until `replicas` replicas have all that was written in these
    /// partitions before, each in this epoch. Says which of them that is true of: all or none,
    /// unless an epoch is over. Use a store of its own for this: whatever else goes through its
    /// connection waits too.
    ///
    /// # Errors
    /// As every write.
    pub async fn await_replicas(
        &self,
        places: &[(Partition, u64)],
        replicas: u32,
        wait: Duration,
    ) -> Result<Vec<(Partition, u64)>> {
        let mut current = Vec::new();
        for (partition, epoch) in places {
            match self.link.call(&self.beat(*partition, *epoch)).await {
                Ok(_) => current.push((*partition, *epoch)),
                Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let map = self.link.placement().map();
        let mut servers: BTreeMap<Option<&Address>, Vec<(Partition, u64)>> = BTreeMap::new();
        for place in current {
            let aim = Aim::at(self.keys.epoch(place.0).as_bytes());
            servers.entry(map.owner(aim)).or_default().push(place);
        }
        let servers = servers.into_values();
        let waits = servers.map(|places| self.await_replicas_of_one(places, replicas, wait));
        let reached: Vec<Vec<_>> = try_join_all(waits).await?;
        Ok(reached.concat())
    }

    /// The same for partitions of one server. Once more a beat, with the wait behind it: a wait
    /// counts what its own connection wrote.
    async fn await_replicas_of_one(
        &self,
        places: Vec<(Partition, u64)>,
        replicas: u32,
        wait: Duration,
    ) -> Result<Vec<(Partition, u64)>> {
        let mut pipeline = redis::pipe();
        for (partition, epoch) in &places {
            pipeline.add_command(self.beat(*partition, *epoch).command());
        }
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        pipeline.cmd("WAIT").arg(replicas).arg(milliseconds);
        let answers = self.link.pipeline("replicas", &pipeline).await?;
        let reached = answers
            .last()
            .map(|answer| value::number("replicas", answer));
        if reached.transpose()?.unwrap_or(0) < u64::from(replicas) {
            return Ok(Vec::new());
        }
        Ok(places)
    }

    fn beat(&self, partition: Partition, epoch: u64) -> Call {
        Call::new("beat_epoch")
            .key(self.keys.epoch(partition))
            .number(epoch)
    }

    /// The epoch that is installed in a partition, 0 if none is. It may be of an earlier run.
    ///
    /// # Errors
    /// As every read.
    pub async fn epoch(&self, partition: Partition) -> Result<u64> {
        Ok(self.installed_epoch(partition).await?.epoch)
    }

    /// The epoch that is installed in a partition, and for which run of Redis.
    ///
    /// # Errors
    /// As every read.
    pub async fn installed_epoch(&self, partition: Partition) -> Result<InstalledEpoch> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys.epoch(partition))
            .arg(&["run", "epoch"]);
        let mut fields = Fields::of("epoch", self.link.query("epoch", &command).await?)?;
        match (fields.value()?, fields.value()?) {
            (_, Value::Nil) | (Value::Nil, _) => Ok(InstalledEpoch::default()),
            (run_id, epoch) => Ok(InstalledEpoch {
                run_id: value::text("epoch", run_id)?,
                epoch: value::number("epoch", &epoch)?,
            }),
        }
    }
}

//! A slow look at everybody who is believed to be online.
//!
//! Sweeping needs the name of the gateway that died, and names are forgotten after an hour; a hold
//! may be lost with the tail of Redis's file. Whoever is left online then without a living session
//! is found here: soon after a partition was taken over, and every now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chinwag_store::{Partition, Result};

use crate::settle::{AT_ONCE, Settler};
use crate::transition;

/// How long after its end an audit begins again.
const EVERY: Duration = Duration::from_secs(600);

/// The audits of a worker's partitions.
#[derive(Default)]
pub(crate) struct Audits {
    next: BTreeMap<Partition, Audit>,
}

/// Where an audit is.
struct Audit {
    cursor: u64,
    not_before: Instant,
}

impl Audits {
    /// Makes one step in each partition that is held.
    pub async fn step(
        &mut self,
        settler: &Settler,
        held: impl Iterator<Item = Partition>,
    ) -> Result<()> {
        let held: BTreeSet<Partition> = held.collect();
        self.next.retain(|partition, _| held.contains(partition));
        let now = Instant::now();
        for partition in held {
            let audit = self.next.entry(partition).or_insert(Audit {
                cursor: 0,
                not_before: now,
            });
            if audit.not_before > now {
                continue;
            }
            audit.cursor = step(settler, partition, audit.cursor).await?;
            if audit.cursor == 0 {
                audit.not_before = now + EVERY;
            }
        }
        Ok(())
    }
}

/// Looks at some users; says where to go on, 0 at the end.
async fn step(settler: &Settler, partition: Partition, cursor: u64) -> Result<u64> {
    let store = &settler.store;
    let (users, next) = store.online_users(partition, cursor, AT_ONCE).await?;
    let sessions = store.gateways_of(&users).await?;
    let seen = sessions.keys().cloned().collect();
    let dead = settler.dead_of(&seen).await?;
    let suspects = transition::suspects(&users, &sessions, &dead);
    if !suspects.is_empty() {
        let ghosts = settler.settle_knowing(&suspects, &dead).await?;
        tracing::warn!(
            partition = partition.0,
            ghosts,
            "found ghosts that no sweep had found"
        );
    }
    Ok(next)
}

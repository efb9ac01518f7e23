//! Sweeping up after gateways that died: their users' sessions, their clients in channels.

use std::collections::HashSet;
use std::time::Duration;

use chinwag_protocol::id::Incarnation;
use chinwag_store::lease::Process;
use chinwag_store::{Partition, Result};

use crate::settle::Settler;

/// Which partitions were swept after which gateway. Forgotten with the gateway, after an hour.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    done: HashSet<(Incarnation, Partition)>,
}

impl Swept {
    /// Sweeps partitions after every gateway whose lease has run out, once each.
    ///
    /// # Errors
    /// As every read and write; what was not done is done next time.
    pub(crate) async fn sweep(
        &mut self,
        settler: &mut Settler,
        partitions: &[Partition],
    ) -> Result<()> {
        let (gateways, now) = settler.store.gateways().await?;
        self.done
            .retain(|(name, _)| gateways.iter().any(|gateway| gateway.incarnation == *name));
        for gateway in gateways.iter().filter(|gateway| gateway.expiry <= now) {
            for partition in partitions {
                let place = (gateway.incarnation.clone(), *partition);
                if !self.done.contains(&place) {
                    sweep_one(settler, gateway, now, *partition).await?;
                    self.done.insert(place);
                }
            }
        }
        Ok(())
    }

    /// Forgets what was done in a partition that goes to another worker: should it come back,
    /// sweeping again is cheap and harmless.
    pub(crate) fn forget(&mut self, partition: Partition) {
        self.done.retain(|(_, swept)| *swept != partition);
    }
}

async fn sweep_one(
    settler: &mut Settler,
    dead: &Process,
    now: u64,
    partition: Partition,
) -> Result<()> {
    let users = settler
        .store
        .held_users(partition, &dead.incarnation)
        .await?;
    let rooms = settler
        .store
        .held_rooms(partition, &dead.incarnation)
        .await?;
    if users.is_empty() && rooms.is_empty() {
        return Ok(());
    }
    settler.settle(&users).await?;
    for room in &rooms {
        for (gateway, occupant) in settler.store.occupants(room).await? {
            if gateway == dead.incarnation {
                settler.store.leave_channel(room, &occupant, true).await?;
            }
        }
    }
    settler
        .store
        .forget_held(partition, &dead.incarnation)
        .await?;
    metrics::counter!("chinwag_presence_sweeps_total").increment(1);
    if !users.is_empty() {
        let ghosts = Duration::from_millis(now.saturating_sub(dead.expiry));
        metrics::histogram!("chinwag_presence_ghost_seconds").record(ghosts);
        tracing::info!(gateway = %dead.incarnation, users = users.len(), "swept up after a gateway");
    }
    Ok(())
}

//! Sweeping up after gateways that died: their users' sessions, their clients in channels.
//!
//! A gateway that ends in good order closes all of them itself and leaves nothing. One that is
//! killed is found by its lease. It stays in the list for an hour; in that time each partition is
//! swept again now and then, because a gateway that stood still may have written a last word after
//! it had counted as dead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chinwag_protocol::id::{Incarnation, RoomId};
use chinwag_store::lease::Process;
use chinwag_store::{Partition, Result};
use chinwag_worker::shares::View;
use futures_util::future::try_join_all;
use metrics::{counter, gauge, histogram};
use tokio::time::{MissedTickBehavior, interval};

use crate::audit::Audits;
use crate::settle::{AT_ONCE, Settler};

/// How many things are done at once.
const SIDE_BY_SIDE: usize = 16;

/// How long until a partition is swept again after the same gateway.
const AGAIN: Duration = Duration::from_secs(60);

/// How often the users who are online are counted, in sweeps.
const COUNT_EVERY: u32 = 5;

/// Sweeps a worker's partitions.
pub(crate) struct Sweeper {
    settler: Settler,
    view: View,
    swept: BTreeMap<(Incarnation, Partition), Instant>,
    audits: Audits,
}

impl Sweeper {
    pub fn new(settler: Settler, view: View) -> Self {
        Self {
            settler,
            view,
            swept: BTreeMap::new(),
            audits: Audits::default(),
        }
    }

    /// Sweeps for as long as it is polled.
    pub async fn run(mut self, every: Duration) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0u32;
        loop {
            tick.tick().await;
            let done = self.turn(turn.is_multiple_of(COUNT_EVERY)).await;
            turn = turn.wrapping_add(1);
            // The lists meet the same weather, and say so in `/ready`.
            if let Err(error) = done {
                tracing::debug!(%error, "cannot sweep");
            }
        }
    }

    async fn turn(&mut self, counts: bool) -> Result<()> {
        let held: Vec<Partition> = self.view.now().into_keys().collect();
        self.sweep(&held).await?;
        self.audits
            .step(&self.settler, held.iter().copied())
            .await?;
        if counts {
            self.count(&held).await?;
        }
        Ok(())
    }

    /// Counts who is online and who waits to be looked at.
    async fn count(&self, held: &[Partition]) -> Result<()> {
        let store = &self.settler.store;
        let online = held.iter().map(|partition| store.online_count(*partition));
        let online: u64 = try_join_all(online).await?.into_iter().sum();
        gauge!("chinwag_presence_online_users").set(online as f64);
        let waiting = held
            .iter()
            .map(|partition| store.presence_waiting(*partition));
        let waiting: u64 = try_join_all(waiting).await?.into_iter().sum();
        gauge!("chinwag_presence_queue_depth").set(waiting as f64);
        Ok(())
    }

    /// Sweeps up after all who are dead, wherever that was not done lately.
    async fn sweep(&mut self, held: &[Partition]) -> Result<()> {
        let (gateways, now) = self.settler.store.gateways().await?;
        self.swept.retain(|(gateway, partition), _| {
            held.contains(partition) && gateways.iter().any(|known| known.incarnation == *gateway)
        });
        let is_due = |gateway: &Incarnation, partition: Partition| {
            let swept = self.swept.get(&(gateway.clone(), partition));
            swept.is_none_or(|swept| swept.elapsed() >= AGAIN)
        };
        let mut due = Vec::new();
        for gateway in gateways.iter().filter(|gateway| gateway.expiry <= now) {
            let partitions = held.iter().copied();
            let partitions = partitions.filter(|one| is_due(&gateway.incarnation, *one));
            due.extend(partitions.map(|partition| (gateway, partition)));
        }
        let mut found_of: BTreeMap<&Incarnation, usize> = BTreeMap::new();
        for some in due.chunks(SIDE_BY_SIDE) {
            let sweeps = some
                .iter()
                .map(|(gateway, partition)| self.sweep_partition(gateway, *partition));
            let found = try_join_all(sweeps).await?;
            for ((gateway, partition), found) in some.iter().zip(found) {
                let name = &gateway.incarnation;
                *found_of.entry(name).or_default() += found;
                self.swept
                    .insert((name.clone(), *partition), Instant::now());
            }
        }
        for (gateway, found) in found_of.into_iter().filter(|(_, found)| *found > 0) {
            tracing::info!(%gateway, found, "swept up after a gateway that has ended");
            counter!("chinwag_presence_sweeps_total").increment(1);
        }
        Ok(())
    }

    /// Sweeps one partition after one gateway. Says how much there was to sweep.
    async fn sweep_partition(&self, gateway: &Process, partition: Partition) -> Result<usize> {
        let (store, name) = (&self.settler.store, &gateway.incarnation);
        let users = store.held_users(partition, name).await?;
        let ghosts = self.settler.settle_without(&users, Some(name)).await?;
        if ghosts > 0 {
            let beyond = Duration::from_millis(store.now().saturating_sub(gateway.expiry));
            histogram!("chinwag_presence_ghost_seconds").record(beyond);
        }
        let rooms = store.held_rooms(partition, name).await?;
        for room in &rooms {
            self.empty(room, name).await?;
        }
        let found = users.len() + rooms.len();
        if found > 0 {
            // Only now: whoever takes over in the middle finds all of it again.
            store.forget_held(partition, name).await?;
        }
        Ok(found)
    }

    /// Takes a gateway's clients out of a channel. That is announced, as it would have been by
    /// the gateway; other gateways tell their clients only where the namespace wants it.
    async fn empty(&self, room: &RoomId, gateway: &Incarnation) -> Result<()> {
        let store = &self.settler.store;
        let occupants = store.occupants(room).await?;
        let its = occupants.iter().filter(|(at, _)| at == gateway);
        let its: Vec<_> = its.map(|(_, occupant)| occupant.clone()).collect();
        for some in its.chunks(AT_ONCE) {
            store.evict(room, gateway, some).await?;
        }
        Ok(())
    }
}

//! Who has what: the map from slots to servers, shared by all connections of a process, and looked
//! at anew when something says that it is no longer true.
//!
//! A look is made by one at a time and not more often than every half a second, however many
//! commands fail. Nothing waits for it but the commands that failed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::connect::Config;
use crate::discover;
use crate::error::{Error, Result};
use crate::node::Hint;
use crate::partition::SLOTS;
use crate::route::Aim;
use crate::topology::{Address, Shape, Topology};

/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How old the last look may be while everything seems well. A primary that was cut off from its
/// sentinels or its cluster answers as if nothing had happened.
const CHECK: Duration = Duration::from_secs(5);
/// A slot that nobody has.
const NOBODY: u16 = u16::MAX;

/// Which server has which slot, at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    /// Grows with each change.
    pub(crate) generation: u64,
    addresses: Vec<Address>,
    /// The place in `addresses` of each slot's server; empty if there is but one.
    table: Vec<u16>,
    /// Whether keys without a tag are all with the first server.
    has_home: bool,
}

impl Map {
    /// One server has everything.
    pub(crate) fn one(address: Address) -> Self {
        Self {
            addresses: vec![address],
            has_home: true,
            ..Self::default()
        }
    }

    /// Each server has an equal share of the slots, in this order.
    fn shares(addresses: &[Address]) -> Self {
        let (count, slots) = (addresses.len(), usize::from(SLOTS));
        let share = |slot: usize| u16::try_from(slot * count / slots).unwrap_or(NOBODY);
        Self {
            addresses: addresses.to_vec(),
            table: (0..slots).map(share).collect(),
            has_home: true,
            ..Self::default()
        }
    }

    /// What a cluster said: its primaries, and per slot the place of its own among them.
    pub(crate) fn cluster(addresses: Vec<Address>, table: &[Option<usize>]) -> Self {
        let place = |owner: &Option<usize>| owner.and_then(|at| u16::try_from(at).ok());
        Self {
            addresses,
            table: table
                .iter()
                .map(|owner| place(owner).unwrap_or(NOBODY))
                .collect(),
            ..Self::default()
        }
    }

    /// All servers; the first is home if there is one.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The server of what is aimed at.
    pub(crate) fn owner(&self, aim: Aim) -> Option<&Address> {
        if self.table.is_empty() || (self.has_home && !aim.tagged) {
            return self.addresses.first();
        }
        let place = self.table.get(usize::from(aim.slot))?;
        self.addresses.get(usize::from(*place))
    }

    /// The same, but a slot is another server's.
    fn with(&self, slot: u16, address: &Address) -> Self {
        let mut addresses = self.addresses.clone();
        let known = addresses.iter().position(|known| known == address);
        let place = known.unwrap_or_else(|| {
            addresses.push(address.clone());
            addresses.len() - 1
        });
        let mut table = self.table.clone();
        if let (Some(entry), Ok(place)) = (table.get_mut(usize::from(slot)), u16::try_from(place)) {
            *entry = place;
        }
        Self {
            addresses,
            table,
            ..*self
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.addresses == other.addresses && self.table == other.table
    }
}

/// The map of now, and how to look at it anew.
pub(crate) struct Placement {
    pub(crate) topology: Topology,
    config: Config,
    map: RwLock<Arc<Map>>,
    /// When the last look ended, and what was wrong with it. Who looks holds it.
    looked: Mutex<Option<(Instant, Result<()>)>>,
}

impl Placement {
    /// For a parsed URL. Nothing is known yet where it has to be asked for.
    pub(crate) fn new(topology: Topology, config: Config) -> Self {
        let map = match &topology.shape {
            Shape::One(address) => Map::one(address.clone()),
            Shape::Map(addresses) => Map::shares(addresses),
            Shape::Sentinel { .. } | Shape::Cluster(_) => Map::default(),
        };
        Self {
            topology,
            config,
            map: RwLock::new(Arc::new(map)),
            looked: Mutex::default(),
        }
    }

    /// The map as it is known now. Empty before the first look.
    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The map, looked at if that was never done.
    pub(crate) async fn known(&self) -> Result<Arc<Map>> {
        let map = self.map();
        if !map.addresses.is_empty() {
            return Ok(map);
        }
        self.renew(map.generation).await?;
        Ok(self.map())
    }

    fn may_change(&self) -> bool {
        matches!(
            self.topology.shape,
            Shape::Sentinel { .. } | Shape::Cluster(_)
        )
    }

    /// Whether a server must be asked if it is the primary: sentinels may be late to know.
    pub(crate) fn must_verify(&self) -> bool {
        matches!(self.topology.shape, Shape::Sentinel { .. })
    }

    /// Looks anew, unless somebody has since the map of generation `seen`, or a moment ago.
    ///
    /// # Errors
    /// `Unavailable` if nobody could say.
    pub(crate) async fn renew(&self, seen: u64) -> Result<()> {
        if !self.may_change() || self.map().generation != seen {
            return Ok(());
        }
        let mut looked = self.looked.lock().await;
        if self.map().generation != seen {
            return Ok(());
        }
        if let Some((when, result)) = looked.as_ref().filter(|(when, _)| when.elapsed() < PAUSE) {
            tracing::trace!(?when, "looked a moment ago");
            return result.clone();
        }
        let result = self.look().await;
        *looked = Some((Instant::now(), result.clone()));
        result
    }

    /// Looks anew if the last look was long ago, whether or not anything seems wrong.
    pub(crate) async fn check(&self) {
        if !self.may_change() {
            return;
        }
        // Whoever looks now does what is wanted here.
        let Ok(mut looked) = self.looked.try_lock() else {
            return;
        };
        if looked
            .as_ref()
            .is_some_and(|(when, _)| when.elapsed() < CHECK)
        {
            return;
        }
        let result = self.look().await;
        *looked = Some((Instant::now(), result));
    }

    /// Does what a failure says of the map that led to it.
    pub(crate) async fn heed(&self, hint: &Hint, map: &Map) {
        match hint {
            Hint::Keep | Hint::Ask(_) => {}
            // That nobody can say now, the next command will find as well.
            Hint::Look => drop(self.renew(map.generation).await),
            Hint::Moved(slot, address) => self.learn(*slot, address),
        }
    }

    /// Has most of the sentinels, if there are any, say that this map is right.
    ///
    /// # Errors
    /// `Unavailable` if they do not; the map is looked at anew then.
    pub(crate) async fn confirm(&self) -> Result<()> {
        let map = self.known().await?;
        let confirmed = discover::confirm(&self.topology, &self.config, &map).await;
        if confirmed.is_err() {
            drop(self.renew(map.generation).await);
        }
        confirmed
    }

    async fn look(&self) -> Result<()> {
        match discover::map(&self.topology, &self.config, &self.map()).await {
            Ok(found) => {
                self.install(found);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "cannot learn which Redis server is the primary");
                Err(error)
            }
        }
    }

    fn install(&self, found: Map) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if map.is_same(&found) {
            return;
        }
        if map.generation > 0 {
            metrics::counter!("chinwag_redis_placements_total").increment(1);
            tracing::info!(servers = ?found.addresses, "Redis has other primaries now");
        }
        *map = Arc::new(Map {
            generation: map.generation + 1,
            ..found
        });
    }

    /// Notes what a server said of one slot: another has it.
    fn learn(&self, slot: u16, address: &Address) {
        if self.may_change() {
            let found = self.map().with(slot, address);
            self.install(found);
        }
    }

    /// An answer for what nobody has.
    pub(crate) fn nobody(aim: Aim) -> Error {
        Error::Unavailable(format!("no Redis server has slot {} now", aim.slot))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partition::tags;

    fn address(port: u16) -> Address {
        Address::Tcp("h".to_owned(), port)
    }

    #[test]
    fn a_partition_map_spreads_partitions_evenly_and_keeps_the_rest_at_home() {
        for count in 2..9u16 {
            let addresses: Vec<Address> = (1..=count).map(address).collect();
            let map = Map::shares(&addresses);
            let mut load = vec![0u16; usize::from(count)];
            for tag in tags(64) {
                let owner = map
                    .owner(Aim::at(format!("log:{{{tag}}}").as_bytes()))
                    .unwrap();
                load[addresses.iter().position(|known| known == owner).unwrap()] += 1;
            }
            let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
            assert!(most - least <= 2, "{count} servers: {load:?}");
            assert_eq!(map.owner(Aim::at(b"gateways")), Some(&address(1)));
        }
    }

    #[test]
    fn one_server_has_everything() {
        let map = Map::one(address(1));
        assert_eq!(map.owner(Aim::at(b"log:{7}")), Some(&address(1)));
        assert_eq!(map.owner(Aim::home()), Some(&address(1)));
    }

    proptest! {
        #[test]
        fn a_moved_slot_moves_alone(slot in 0u16..SLOTS, other in 0u16..SLOTS, port in 1u16..5) {
            let table: Vec<_> = (0..usize::from(SLOTS)).map(|at| (at > 9).then_some(at % 3)).collect();
            let before = Map::cluster((1..4).map(address).collect(), &table);
            let after = before.with(slot, &address(port));
            let at = |map: &Map, slot| map.owner(Aim { slot, tagged: true }).cloned();
            prop_assert_eq!(at(&after, slot), Some(address(port)));
            if other != slot {
                prop_assert_eq!(at(&after, other), at(&before, other));
            }
        }
    }
}

//! The connections behind a listener: one to each server, and what is to be listened to on them.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use redis::{ProtocolVersion, PushInfo};
use tokio::sync::mpsc;

use crate::channel::{Heard, heard_in};
use crate::connect::Config;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::line::{Line, Refused};
use crate::node::Node;
use crate::placement::{Map, Placement};
use crate::route::Aim;
use crate::topology::Address;

/// Where what is heard goes, until the connection to home ends.
pub(crate) type Mouth = Arc<Mutex<Option<mpsc::Sender<Heard>>>>;

/// What a listener and its ears share.
pub(crate) struct Ears {
    pub(crate) placement: Arc<Placement>,
    pub(crate) config: Config,
    pub(crate) keys: Arc<Keys>,
    pub(crate) mouth: Mouth,
    pub(crate) overflow: Arc<AtomicBool>,
    /// Every channel that is to be listened to.
    pub(crate) wanted: Mutex<HashSet<String>>,
    /// One lock for each server, so that one that does not answer holds nobody up but its own.
    pub(crate) lines: Mutex<BTreeMap<Address, Arc<Slot>>>,
}

/// The place of one server's connection.
pub(crate) type Slot = tokio::sync::Mutex<Option<Arc<Line>>>;

impl Ears {
    /// Listens to channels, all of them.
    pub(crate) async fn subscribe(&self, channels: &[String]) -> Result<()> {
        locked(&self.wanted).extend(channels.iter().cloned());
        let mut result = Ok(());
        // Once more where somebody has said who else tells of them.
        for _ in 0..2 {
            let map = self.placement.known().await?;
            let parts = self.parts(channels.iter(), &map)?;
            let parts = parts
                .iter()
                .map(|(address, some)| self.subscribe_at(address, some, &map));
            result = join_all(parts).await.into_iter().collect();
            if result.is_ok() || self.placement.map().generation == map.generation {
                break;
            }
        }
        result
    }

    /// Listens to channels where servers answer, and leaves the others to be mended.
    pub(crate) async fn want(&self, channels: &[String]) -> Result<()> {
        locked(&self.wanted).extend(channels.iter().cloned());
        let map = self.placement.known().await?;
        let (home, map) = (home(&map)?, &map);
        let parts = self.parts(channels.iter(), map).unwrap_or_default();
        let parts = parts.iter().map(|(address, some)| async move {
            (address, self.subscribe_at(address, some, map).await)
        });
        for (address, subscribed) in join_all(parts).await {
            match subscribed {
                Err(error) if *address == home => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "cannot listen to a Redis server");
                    self.tell_lost();
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Listens to channels no longer.
    pub(crate) async fn drop_all(&self, channels: &[String]) -> Result<()> {
        {
            let mut wanted = locked(&self.wanted);
            for channel in channels {
                wanted.remove(channel);
            }
        }
        let lines = self.lines().await;
        let left = lines.iter().map(|(_, line)| line.unsubscribe(channels));
        join_all(left).await.into_iter().collect()
    }

    /// Listens to channels of one server.
    pub(crate) async fn subscribe_at(
        &self,
        address: &Address,
        channels: &[String],
        map: &Map,
    ) -> Result<()> {
        let line = self.line(address, map).await;
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                drop(self.placement.renew(map.generation).await);
                return Err(error);
            }
        };
        match line.subscribe(channels).await {
            Ok(()) => Ok(()),
            Err(Refused::Server(error)) => {
                let failure = Node::judged(address, "subscribe", &error.into());
                self.placement.heed(&failure.hint, map).await;
                Err(failure.error)
            }
            Err(Refused::Broken(error)) => {
                self.hang_up(address).await;
                drop(self.placement.renew(map.generation).await);
                Err(error)
            }
        }
    }

    fn parts<'a>(
        &self,
        channels: impl Iterator<Item = &'a String>,
        map: &Map,
    ) -> Result<BTreeMap<Address, Vec<String>>> {
        let mut parts: BTreeMap<Address, Vec<String>> = BTreeMap::new();
        for channel in channels {
            let aim = aim(channel);
            let address = map.owner(aim).ok_or_else(|| Placement::nobody(aim))?;
            match parts.get_mut(address) {
                Some(some) => some.push(channel.clone()),
                None => drop(parts.insert(address.clone(), vec![channel.clone()])),
            }
        }
        Ok(parts)
    }

    /// What is wanted and not listened to where the map has it.
    pub(crate) async fn missing(&self, map: &Map) -> BTreeMap<Address, Vec<String>> {
        let lines = self.lines().await;
        let held = |channel: &&String| {
            let owner = map.owner(aim(channel));
            let line = lines.iter().find(|(address, _)| Some(address) == owner);
            line.is_some_and(|(_, line)| line.holds(channel))
        };
        let missing: Vec<String> = {
            let wanted = locked(&self.wanted);
            wanted
                .iter()
                .filter(|channel| !held(channel))
                .cloned()
                .collect()
        };
        // What nobody has now is looked for again the next time.
        let has_owner = |channel: &&String| map.owner(aim(channel)).is_some();
        self.parts(missing.iter().filter(has_owner), map)
            .unwrap_or_default()
    }

    fn slot(&self, address: &Address) -> Arc<Slot> {
        let mut lines = locked(&self.lines);
        Arc::clone(lines.entry(address.clone()).or_default())
    }

    /// The connection to a server, opened if there is none.
    pub(crate) async fn line(&self, address: &Address, map: &Map) -> Result<Arc<Line>> {
        let slot = self.slot(address);
        let mut line = slot.lock().await;
        if let Some(open) = line.as_ref().filter(|line| !line.has_ended()) {
            return Ok(Arc::clone(open));
        }
        let topology = &self.placement.topology;
        let client = topology.client(address, ProtocolVersion::RESP3)?;
        let (keys, mouth) = (Arc::clone(&self.keys), Arc::clone(&self.mouth));
        let flag = Arc::clone(&self.overflow);
        let heard = move |push: PushInfo| {
            if let Some(heard) = heard_in(&keys, push)
                && let Some(open) = locked(&mouth).as_ref()
                && open.try_send(heard).is_err()
            {
                // Waiting here would stall the connection until Redis cuts it.
                flag.store(true, Ordering::Release);
            }
        };
        let is_home = home(map).is_ok_and(|home| home == *address);
        let mouth = Arc::clone(&self.mouth);
        let ended = move || {
            if is_home {
                // Dropping the sender is what ends `heard`.
                *locked(&mouth) = None;
            } else {
                lost(&mouth);
            }
        };
        let (config, verify) = (self.config.connection(), self.placement.must_verify());
        let opened = Line::open(&client, config, verify, heard, ended).await;
        let opened = Arc::new(opened.map_err(|error| match error {
            Error::Unavailable(problem) => Error::Unavailable(format!("{address}: {problem}")),
            error => error,
        })?);
        *line = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// All connections that are open.
    pub(crate) async fn lines(&self) -> Vec<(Address, Arc<Line>)> {
        let slots: Vec<(Address, Arc<Slot>)> = {
            let lines = locked(&self.lines);
            lines
                .iter()
                .map(|(address, slot)| (address.clone(), Arc::clone(slot)))
                .collect()
        };
        let mut open = Vec::with_capacity(slots.len());
        for (address, slot) in slots {
            // Who is connecting has none.
            if let Ok(line) = slot.try_lock()
                && let Some(line) = line.as_ref().filter(|line| !line.has_ended())
            {
                open.push((address, Arc::clone(line)));
            }
        }
        open
    }

    /// Gives up the connection to a server.
    pub(crate) async fn hang_up(&self, address: &Address) {
        *self.slot(address).lock().await = None;
        self.tell_lost();
    }

    /// Gives up connections to servers that the map does not know.
    pub(crate) async fn hang_up_others(&self, map: &Map) {
        locked(&self.lines).retain(|address, _| map.addresses().contains(address));
    }

    pub(crate) fn tell_lost(&self) {
        lost(&self.mouth);
    }
}

/// Says that something is to be mended. If there is no room for that, the next look finds it.
fn lost(mouth: &Mouth) {
    if let Some(open) = locked(mouth).as_ref() {
        drop(open.try_send(Heard::Torn));
    }
}

/// Where channels of no partition are: with everything else that concerns the whole.
fn aim(channel: &str) -> Aim {
    Some(Aim::at(channel.as_bytes()))
        .filter(|aim| aim.tagged)
        .unwrap_or_else(Aim::home)
}

pub(crate) fn home(map: &Map) -> Result<Address> {
    let aim = Aim::home();
    map.owner(aim)
        .cloned()
        .ok_or_else(|| Placement::nobody(aim))
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

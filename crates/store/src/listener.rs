//! Listening: to channels of partitions on the servers that have these, to all others at home.
//!
//! What is published in a partition is told by **sharded** pub/sub (`SPUBLISH`, `SSUBSCRIBE`) on every
//! topology. In a cluster a plain `PUBLISH` goes to every server over the cluster's bus, heard there
//! or not, so that more servers would not carry more messages; a sharded one stays with the slot's own. A
//! single server does the same for both.
//!
//! There is one connection to each server. When the one to home ends, [`Listener::heard`] ends. When
//! another ends, what it listened to is told anew by [`Ear::mend`], and nobody else notices.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chinwag_protocol::id::{Incarnation, RoomId};
use futures_util::future::join_all;
use redis::{ProtocolVersion, PushInfo};
use tokio::sync::mpsc;

use crate::channel::{Heard, heard_in};
use crate::connect::Config;
use crate::error::{Error, Result};
use crate::keys::{CONTROL, Keys};
use crate::line::{Line, Refused};
use crate::node::Node;
use crate::partition::Partition;
use crate::placement::{Map, Placement};
use crate::route::Aim;
use crate::store::Store;
use crate::topology::Address;

/// What listens. When `heard` ends make another one, subscribe again, and look at every room,
/// because what was said meanwhile is gone.
pub struct Listener {
    ears: Arc<Ears>,
    /// What was heard, in order for each server. Ends with the connection to home.
    pub heard: mpsc::Receiver<Heard>,
    overflow: Arc<AtomicBool>,
}

/// Subscribes and unsubscribes for a listener, from another task.
#[derive(Clone)]
pub struct Ear {
    ears: Arc<Ears>,
}

/// Where what is heard goes, until the connection to home ends.
type Mouth = Arc<Mutex<Option<mpsc::Sender<Heard>>>>;

struct Ears {
    placement: Arc<Placement>,
    config: Config,
    keys: Arc<Keys>,
    mouth: Mouth,
    overflow: Arc<AtomicBool>,
    /// Every channel that is to be listened to.
    wanted: Mutex<HashSet<String>>,
    /// One lock for each server, so that one that does not answer holds nobody up but its own.
    lines: Mutex<BTreeMap<Address, Arc<Slot>>>,
}

/// The place of one server's connection.
type Slot = tokio::sync::Mutex<Option<Arc<Line>>>;

impl Store {
    /// Opens a connection that listens, with a queue of `queue` payloads. When the queue is full,
    /// what comes is dropped and [`Listener::overflowed`] says so once.
    ///
    /// # Errors
    /// `Unavailable` if Redis cannot be reached.
    pub async fn listen(&self, queue: usize) -> Result<Listener> {
        let (sender, heard) = mpsc::channel(queue);
        let overflow = Arc::new(AtomicBool::new(false));
        let ears = Arc::new(Ears {
            placement: Arc::clone(self.link.placement()),
            config: self.config.as_ref().clone(),
            keys: Arc::clone(&self.keys),
            mouth: Arc::new(Mutex::new(Some(sender))),
            overflow: Arc::clone(&overflow),
            wanted: Mutex::default(),
            lines: Mutex::default(),
        });
        let map = ears.placement.known().await?;
        if let Err(error) = ears.line(&home(&map)?, &map).await {
            drop(ears.placement.renew(map.generation).await);
            return Err(error);
        }
        Ok(Listener {
            ears,
            heard,
            overflow,
        })
    }
}

impl Listener {
    /// Whether something was dropped since the last call because the queue was full.
    pub fn overflowed(&self) -> bool {
        self.overflow.swap(false, Ordering::AcqRel)
    }

    /// A handle for subscribing while another task reads `heard`.
    #[must_use]
    pub fn ear(&self) -> Ear {
        Ear {
            ears: Arc::clone(&self.ears),
        }
    }
}

impl Drop for Listener {
    /// Ears may outlive it; there is nothing for them to do any more.
    fn drop(&mut self) {
        *locked(&self.ears.mouth) = None;
    }
}

impl Ear {
    /// Listens to rooms. When this returns, everything that is published from now on is heard.
    ///
    /// # Errors
    /// As every read. None of the rooms counts as joined then.
    pub async fn join(&mut self, rooms: &[RoomId]) -> Result<()> {
        let channels = self.channels(rooms);
        let result = self.ears.subscribe(&channels).await;
        if result.is_err() {
            let mut wanted = locked(&self.ears.wanted);
            for channel in &channels {
                wanted.remove(channel);
            }
        }
        result
    }

    /// Listens to rooms as soon as their servers answer. Those that do not now are left to
    /// [`Ear::mend`].
    ///
    /// # Errors
    /// As every read, if home does not answer.
    pub async fn rejoin(&mut self, rooms: &[RoomId]) -> Result<()> {
        self.ears.want(&self.channels(rooms)).await
    }

    /// Stops listening to a room.
    ///
    /// # Errors
    /// As every read.
    pub async fn leave(&mut self, rooms: &[RoomId]) -> Result<()> {
        let channels = self.channels(rooms);
        {
            let mut wanted = locked(&self.ears.wanted);
            for channel in &channels {
                wanted.remove(channel);
            }
        }
        let lines = self.ears.lines().await;
        let left = lines.iter().map(|(_, line)| line.unsubscribe(&channels));
        join_all(left).await.into_iter().collect()
    }

    /// Listens to what concerns a gateway: its inbox, the orders to all, and what is archived.
    ///
    /// # Errors
    /// As every read.
    pub async fn join_as_gateway(&mut self, gateway: &Incarnation) -> Result<()> {
        let own = [Keys::inbox(gateway), CONTROL.to_owned()];
        self.ears.subscribe(&own).await?;
        let keys = &self.ears.keys;
        let partitions = (0..keys.partitions()).map(Partition);
        let archived: Vec<String> = partitions
            .map(|partition| keys.archived(partition))
            .collect();
        self.ears.want(&archived).await
    }

    /// Listens to what wakes presence workers.
    ///
    /// # Errors
    /// As every read.
    pub async fn join_as_presence_worker(&mut self) -> Result<()> {
        let keys = &self.ears.keys;
        let partitions = (0..keys.partitions()).map(Partition);
        let wakes: Vec<String> = partitions.map(|partition| keys.wake(partition)).collect();
        self.ears.want(&wakes).await
    }

    /// Asks for a sign of life on the listening connections themselves. Of servers other than home
    /// those that give none are left to [`Ear::mend`].
    ///
    /// # Errors
    /// `Unavailable` if none comes from home in time, or if home is another server by now: a
    /// primary that was replaced goes on answering, and tells of nothing any more.
    pub async fn ping(&mut self) -> Result<()> {
        let ears = &self.ears;
        ears.placement.check().await;
        let home = home(&ears.placement.map())?;
        let lines = ears.lines().await;
        let pings = lines.iter().map(|(_, line)| line.ping());
        let mut alive = false;
        for ((address, _), pong) in lines.iter().zip(join_all(pings).await) {
            match pong {
                Ok(()) => alive |= *address == home,
                Err(error) if *address == home => return Err(error),
                Err(_) => ears.hang_up(address).await,
            }
        }
        if alive {
            return Ok(());
        }
        let problem = format!("{home}: nobody listens there");
        Err(Error::Unavailable(problem))
    }

    /// Whether `heard` has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        locked(&self.ears.mouth).is_none()
    }

    /// Listens again to what was lost with a connection, or is told elsewhere by now. Gives the
    /// rooms to look at, because what was said in them meanwhile is gone, and whether all is well.
    pub async fn mend(&mut self) -> (Vec<RoomId>, bool) {
        if self.has_ended() {
            return (Vec::new(), true);
        }
        let (ears, map) = (&self.ears, &self.ears.placement.map());
        let missing = ears.missing(map).await;
        let parts = missing.iter().map(|(address, channels)| async move {
            (channels, ears.subscribe_at(address, channels, map).await)
        });
        let (mut rooms, mut whole) = (Vec::new(), true);
        for (channels, subscribed) in join_all(parts).await {
            match subscribed {
                Ok(()) => {
                    let rooms_of = channels
                        .iter()
                        .filter_map(|name| Keys::room_of_channel(name));
                    rooms.extend(rooms_of);
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot listen everywhere");
                    whole = false;
                }
            }
        }
        if whole {
            ears.hang_up_others(&ears.placement.map()).await;
        }
        (rooms, whole)
    }

    fn channels(&self, rooms: &[RoomId]) -> Vec<String> {
        rooms
            .iter()
            .map(|room| self.ears.keys.channel(room))
            .collect()
    }
}

impl Ears {
    /// Listens to channels, all of them.
    async fn subscribe(&self, channels: &[String]) -> Result<()> {
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
    async fn want(&self, channels: &[String]) -> Result<()> {
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

    /// Listens to channels of one server.
    async fn subscribe_at(&self, address: &Address, channels: &[String], map: &Map) -> Result<()> {
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
    async fn missing(&self, map: &Map) -> BTreeMap<Address, Vec<String>> {
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
    async fn line(&self, address: &Address, map: &Map) -> Result<Arc<Line>> {
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
    async fn lines(&self) -> Vec<(Address, Arc<Line>)> {
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
    async fn hang_up(&self, address: &Address) {
        *self.slot(address).lock().await = None;
        self.tell_lost();
    }

    /// Gives up connections to servers that the map does not know.
    async fn hang_up_others(&self, map: &Map) {
        locked(&self.lines).retain(|address, _| map.addresses().contains(address));
    }

    fn tell_lost(&self) {
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

fn home(map: &Map) -> Result<Address> {
    let aim = Aim::home();
    map.owner(aim)
        .cloned()
        .ok_or_else(|| Placement::nobody(aim))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

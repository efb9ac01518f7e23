//! Listening: to channels of partitions on the servers that have these, to all others at home.
//!
//! What is published in a partition is told by **sharded** pub/sub (`SPUBLISH`, `SSUBSCRIBE`) on every
//! topology. In a cluster a plain `PUBLISH` goes to every server over the cluster's bus, heard there
//! or not, so that more servers would not carry more messages; a sharded one stays with the slot's own. A
//! single server does the same for both.
//!
//! There is one connection to each server. When the one to home ends, [`Listener::heard`] ends. When
//! another ends, what it listened to is told anew by [`Ear::mend`], and nobody else notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chinwag_protocol::id::{Incarnation, RoomId};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::channel::Heard;
use crate::ears::{Ears, home, locked};
use crate::error::{Error, Result};
use crate::keys::{CONTROL, Keys};
use crate::partition::Partition;
use crate::store::Store;

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
        self.ears.drop_all(&self.channels(rooms)).await
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

    /// Listens to the inbox of another name of the same gateway, and no longer to those of `former`
    /// ones.
    ///
    /// # Errors
    /// As every read.
    pub async fn answer_to(&mut self, gateway: &Incarnation, former: &[Incarnation]) -> Result<()> {
        let former: Vec<String> = former.iter().map(Keys::inbox).collect();
        self.ears.subscribe(&[Keys::inbox(gateway)]).await?;
        self.ears.drop_all(&former).await
    }

    /// Listens to workers of a role that go.
    ///
    /// # Errors
    /// As every read.
    pub async fn join_as_worker(&mut self, role: &'static str) -> Result<()> {
        self.ears.subscribe(&[Keys::handover(role)]).await
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

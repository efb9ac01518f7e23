//! What all threads of a gateway share about its connections: how many there are and from where,
//! and whose sessions they are.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chinwag_protocol::id::{RoomId, UserId};

use crate::admission::Admission;
use crate::batcher::count;
use crate::config::{Config, Network};
use crate::household::Household;

/// Admits connections and counts them.
#[derive(Debug)]
pub(crate) struct Gate {
    /// How fast new sessions begin.
    pub admission: Admission,
    connections: AtomicUsize,
    most: usize,
    most_per_address: usize,
    most_pending: usize,
    most_pending_per_address: usize,
    /// Many clients come from each of their addresses.
    proxies: Vec<Network>,
    from: Mutex<From>,
    users: Mutex<HashMap<UserId, usize>>,
    /// Clients in the presence of channels.
    rooms: Mutex<HashMap<RoomId, usize>>,
    /// What each thread holds.
    held: Mutex<Vec<Held>>,
}

/// What the connections of a thread hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub subscriptions: usize,
    pub outbox_bytes: usize,
    /// Connections that are behind in some room.
    pub behind: usize,
}

/// Where connections come from.
#[derive(Debug, Default)]
struct From {
    households: HashMap<Household, Here>,
    pending: usize,
}

/// The connections from one address.
#[derive(Debug, Default)]
struct Here {
    open: usize,
    pending: usize,
}

/// A connection's place; given back when dropped. It is pending until the connection has been good
/// for something: a request was answered, or a session began.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    household: Option<Household>,
    is_pending: Cell<bool>,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(config.connects_per_second, config.connects_burst),
            connections: AtomicUsize::new(0),
            most: config.max_connections,
            most_per_address: config.max_connections_per_address,
            most_pending: config.max_pending,
            most_pending_per_address: config.max_pending_per_address,
            proxies: config.trusted_proxies.clone(),
            from: Mutex::default(),
            users: Mutex::default(),
            rooms: Mutex::default(),
            held: Mutex::new(vec![Held::default(); config.threads.max(1)]),
        })
    }

    /// A place for a connection from an address.
    ///
    /// # Errors
    /// Which limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Crowded> {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contains(address));
        let household = (!is_proxy).then(|| Household::of(address));
        let mut from = self.from();
        if self.connections.load(Ordering::Relaxed) >= self.most {
            return Err(Crowded::Connections);
        }
        if from.pending >= self.most_pending {
            return Err(Crowded::Pending);
        }
        if let Some(household) = household {
            let here = from.households.entry(household).or_default();
            if here.open >= self.most_per_address {
                return Err(Crowded::Address);
            }
            if here.pending >= self.most_pending_per_address {
                return Err(Crowded::PendingAddress);
            }
            here.open += 1;
            here.pending += 1;
        }
        from.pending += 1;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            gate: Arc::clone(self),
            household,
            is_pending: Cell::new(true),
        })
    }

    fn from(&self) -> MutexGuard<'_, From> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session of a user begins at this gateway.
    pub(crate) fn user_came(&self, user: &UserId) {
        *self
            .users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(user.clone())
            .or_default() += 1;
    }

    /// A session of a user ends. Says whether it was the last here.
    pub(crate) fn user_went(&self, user: &UserId) -> bool {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sessions) = users.get_mut(user) else {
            return true;
        };
        *sessions -= 1;
        let last = *sessions == 0;
        if last {
            users.remove(user);
        }
        last
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, usize>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client comes into the presence of a channel.
    pub(crate) fn room_entered(&self, room: &RoomId) {
        *self.rooms().entry(room.clone()).or_default() += 1;
    }

    /// A client goes out of it. Says whether it was the last here.
    pub(crate) fn room_left(&self, room: &RoomId) -> bool {
        let mut rooms = self.rooms();
        let Some(clients) = rooms.get_mut(room) else {
            return false;
        };
        *clients -= 1;
        let last = *clients == 0;
        if last {
            rooms.remove(room);
        }
        last
    }

    /// Whether clients here are in the presence of a channel.
    pub(crate) fn is_in(&self, room: &RoomId) -> bool {
        self.rooms().contains_key(room)
    }

    /// Takes note of what a thread holds, and shows the sum.
    pub(crate) fn sample(&self, shard: usize, now: Held) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(shard) {
            *own = now;
        }
        let sum = |of: fn(&Held) -> usize| count(held.iter().map(of).sum());
        metrics::gauge!("chinwag_gateway_subscriptions").set(sum(|held| held.subscriptions));
        metrics::gauge!("chinwag_gateway_outbox_bytes").set(sum(|held| held.outbox_bytes));
        metrics::gauge!("chinwag_gateway_behind_connections").set(sum(|held| held.behind));
        let connections = self.connections.load(Ordering::Relaxed);
        metrics::gauge!("chinwag_gateway_connections").set(count(connections));
        metrics::gauge!("chinwag_gateway_pending_connections").set(count(self.from().pending));
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// All places are taken.
    Connections,
    /// All places of this address are taken.
    Address,
    /// Too many have connected and said nothing yet.
    Pending,
    /// Too many from this address have.
    PendingAddress,
}

impl Crowded {
    /// The label of the metric.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Connections => "connection_limit",
            Self::Address => "address_limit",
            Self::Pending => "pending_limit",
            Self::PendingAddress => "pending_address_limit",
        }
    }

    /// For the client.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Connections => "this gateway is full; try again later",
            Self::Address => "too many connections from this address",
            Self::Pending => "too many are connecting just now; try again",
            Self::PendingAddress => "too many are connecting from this address just now; try again",
        }
    }
}

impl Place {
    /// The connection is good for something.
    pub(crate) fn establish(&self) {
        if !self.is_pending.replace(false) {
            return;
        }
        let mut from = self.gate.from();
        from.pending -= 1;
        if let Some(here) = self
            .household
            .and_then(|house| from.households.get_mut(&house))
        {
            here.pending -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.establish();
        self.gate.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(household) = self.household else {
            return;
        };
        let mut from = self.gate.from();
        if let Some(here) = from.households.get_mut(&household) {
            here.open -= 1;
            if here.open == 0 {
                from.households.remove(&household);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn gate() -> Arc<Gate> {
        let mut config = config();
        config.max_connections = 10;
        config.max_connections_per_address = 5;
        config.max_pending = 4;
        config.max_pending_per_address = 2;
        Gate::new(&config)
    }

    fn admit(gate: &Arc<Gate>, from: &str) -> Result<Place, Crowded> {
        gate.admit(from.parse().unwrap())
    }

    #[test]
    fn who_says_nothing_takes_few_places() {
        let gate = gate();
        let first = admit(&gate, "192.0.2.1").unwrap();
        let _second = admit(&gate, "192.0.2.1").unwrap();
        assert_eq!(
            admit(&gate, "192.0.2.1").unwrap_err(),
            Crowded::PendingAddress
        );
        first.establish();
        let _third = admit(&gate, "192.0.2.1").unwrap();
        let others = ["192.0.2.2", "192.0.2.3"].map(|from| admit(&gate, from).unwrap());
        assert_eq!(admit(&gate, "192.0.2.4").unwrap_err(), Crowded::Pending);
        drop(others);
        assert!(admit(&gate, "192.0.2.4").is_ok());
    }

    #[test]
    fn a_household_is_one_address_and_a_proxy_is_none() {
        let gate = gate();
        let come = |from| {
            let place = admit(&gate, from);
            place.inspect(Place::establish)
        };
        let _five: Vec<Place> = (0..5).map(|_| come("2001:db8::1").unwrap()).collect();
        assert_eq!(come("2001:db8::2").unwrap_err(), Crowded::Address);
        let _more: Vec<Place> = (0..5).map(|_| come("10.0.0.1").unwrap()).collect();
        assert_eq!(come("192.0.2.1").unwrap_err(), Crowded::Connections);
    }
}

//! What all threads of a gateway share about its connections: how many there are and from where,
//! and whose sessions they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chinwag_protocol::id::UserId;

use crate::batcher::count;
use crate::config::Config;

/// Admits connections and counts them.
#[derive(Debug)]
pub(crate) struct Gate {
    connections: AtomicUsize,
    most: usize,
    most_per_address: usize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    users: Mutex<HashMap<UserId, usize>>,
    /// What each thread holds: subscriptions, bytes in outboxes.
    held: Mutex<Vec<(f64, f64)>>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            most: config.max_connections,
            most_per_address: config.max_connections_per_address,
            addresses: Mutex::default(),
            users: Mutex::default(),
            held: Mutex::new(vec![(0.0, 0.0); config.threads.max(1)]),
        })
    }

    /// A place for a connection from an address, or which limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err("connection_limit");
        }
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let here = addresses.entry(address).or_default();
        if *here >= self.most_per_address {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err("address_limit");
        }
        *here += 1;
        Ok(Place {
            gate: Arc::clone(self),
            address,
        })
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

    /// Takes note of what a thread holds, and shows the sum.
    pub(crate) fn sample(&self, shard: usize, subscriptions: f64, bytes: f64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(shard) {
            *own = (subscriptions, bytes);
        }
        let sum = held
            .iter()
            .fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
        metrics::gauge!("chinwag_gateway_subscriptions").set(sum.0);
        metrics::gauge!("chinwag_gateway_outbox_bytes").set(sum.1);
        let connections = self.connections.load(Ordering::Relaxed);
        metrics::gauge!("chinwag_gateway_connections").set(count(connections));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.connections.fetch_sub(1, Ordering::Relaxed);
        let mut addresses = self
            .gate
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = addresses.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

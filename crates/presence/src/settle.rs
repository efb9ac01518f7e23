//! Making users' states what their sessions say.

use std::collections::BTreeSet;

use chinwag_protocol::id::{Incarnation, UserId};
use chinwag_store::lease::Lease;
use chinwag_store::{Result, Store};
use chinwag_worker::Living;

use crate::digest::Digest;

/// Users that are settled in one round trip.
const USERS: usize = 256;

/// What settling needs and changes.
pub(crate) struct Settler {
    pub store: Store,
    pub living: Living,
    pub digest: Digest,
}

impl Settler {
    /// Settles users, whose sessions at dead gateways end.
    pub(crate) async fn settle(&mut self, users: &[UserId]) -> Result<()> {
        for users in users.chunks(USERS) {
            // First who is where, then who is alive: a gateway that is not among the living read
            // after its name was seen is dead for sure.
            let seen: BTreeSet<Incarnation> =
                self.store.gateways_of(users).await?.into_keys().collect();
            let dead = self.living.dead_of(&self.store, &seen).await?;
            let settled = self.store.settle_presence(users, &dead).await?;
            for (user, settled) in users.iter().zip(settled) {
                self.digest.note(user, settled);
            }
        }
        Ok(())
    }

    /// Does what is on a partition's list, and takes it off. Says how much is left.
    pub(crate) async fn work(&mut self, lease: &Lease) -> Result<u64> {
        loop {
            let users = self.store.presence_work(lease.partition, USERS).await?;
            if users.is_empty() {
                return Ok(0);
            }
            let distinct: BTreeSet<&UserId> = users.iter().collect();
            let distinct: Vec<UserId> = distinct.into_iter().cloned().collect();
            self.settle(&distinct).await?;
            let left = self.store.finish_presence(lease, users.len()).await?;
            if left == 0 {
                return Ok(0);
            }
        }
    }
}

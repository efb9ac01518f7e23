//! Making users' states what their sessions say.

use std::collections::BTreeSet;
use std::sync::Arc;

use chinwag_protocol::id::{Incarnation, UserId};
use chinwag_store::{Result, Store};
use chinwag_worker::Living;
use metrics::counter;
use tokio::sync::{Mutex, mpsc};

use crate::transition::{self, Change, State};

/// How many users are settled in one round trip.
pub(crate) const AT_ONCE: usize = 256;

/// Settles users, and hands over what changed. Clones share everything.
#[derive(Clone)]
pub(crate) struct Settler {
    pub store: Store,
    /// Held while the list of gateways is read, so that it is read once for all who wait.
    living: Arc<Mutex<Living>>,
    /// Full when digests cannot keep up: then settling waits, and the lists in Redis grow.
    changes: mpsc::Sender<Vec<Change>>,
}

impl Settler {
    pub fn new(store: Store, changes: mpsc::Sender<Vec<Change>>) -> Self {
        Self {
            store,
            living: Arc::default(),
            changes,
        }
    }

    /// Settles users. Says how many went offline by it.
    ///
    /// The sessions are read first and the living gateways after them, so that no session of a
    /// young gateway is taken for one of a dead gateway. See [`Living`].
    pub async fn settle(&self, users: &[UserId]) -> Result<usize> {
        self.settle_without(users, None).await
    }

    /// The same for users of a gateway that is known to be dead. Who was alive in a list that was
    /// read a moment ago may have died since, and is swept but once.
    pub async fn settle_without(
        &self,
        users: &[UserId],
        gone: Option<&Incarnation>,
    ) -> Result<usize> {
        let unique: BTreeSet<&UserId> = users.iter().collect();
        let unique: Vec<UserId> = unique.into_iter().cloned().collect();
        let mut went = 0;
        for some in unique.chunks(AT_ONCE) {
            let sessions = self.store.gateways_of(some).await?;
            let seen = sessions.into_keys().collect();
            let mut dead = self.dead_of(&seen).await?;
            dead.extend(gone.filter(|gone| !dead.contains(gone)).cloned());
            went += self.settle_knowing(some, &dead).await?;
        }
        Ok(went)
    }

    /// Which of these gateways, named by sessions that were read before, are dead.
    pub async fn dead_of(&self, seen: &BTreeSet<Incarnation>) -> Result<Vec<Incarnation>> {
        self.living.lock().await.dead_of(&self.store, seen).await
    }

    /// Settles users of whose gateways these are the dead ones.
    pub async fn settle_knowing(&self, users: &[UserId], dead: &[Incarnation]) -> Result<usize> {
        let settled = self.store.settle_presence(users, dead).await?;
        let changes = transition::changes(users, &settled);
        let is_offline = |(_, _, state): &&Change| matches!(state, State::Offline { .. });
        let went = changes.iter().filter(is_offline).count();
        for (_, _, state) in &changes {
            counter!("chinwag_presence_transitions_total", "to" => state.name()).increment(1);
        }
        if !changes.is_empty() {
            // Only gone when the process stops.
            drop(self.changes.send(changes).await);
        }
        Ok(went)
    }
}

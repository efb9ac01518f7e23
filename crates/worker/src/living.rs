//! Which gateways are dead, among those whose names stand somewhere.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chinwag_protocol::id::Incarnation;
use chinwag_store::{Result, Store};

/// How long a list of gateways may be used to tell that somebody is alive. A death is then
/// noticed that much later, which whoever sweeps adds to the lease anyway.
const FRESH: Duration = Duration::from_secs(1);

/// Tells dead gateways from living ones.
///
/// A gateway takes its lease before it writes its name anywhere, and a name that died stays dead.
/// So a name that was read somewhere first and is not in a list of the living that was read after
/// it is dead for sure, however young its gateway: the order of the two reads is all that counts.
/// An old list proves no death, and neither does a list that could not be read.
#[derive(Debug, Default)]
pub struct Living {
    known: BTreeSet<Incarnation>,
    read: Option<Instant>,
}

impl Living {
    /// Those of `seen`, names that were read before this call, whose gateways are dead.
    ///
    /// # Errors
    /// As every read. It says nothing about who is alive.
    pub async fn dead_of(
        &mut self,
        store: &Store,
        seen: &BTreeSet<Incarnation>,
    ) -> Result<Vec<Incarnation>> {
        let fresh = self.read.is_some_and(|read| read.elapsed() < FRESH);
        if fresh && seen.is_subset(&self.known) {
            return Ok(Vec::new());
        }
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let (gateways, now) = store.gateways().await?;
        self.known = gateways
            .into_iter()
            .filter(|gateway| gateway.expiry > now)
            .map(|gateway| gateway.incarnation)
            .collect();
        self.read = Some(begun);
        Ok(seen.difference(&self.known).cloned().collect())
    }
}

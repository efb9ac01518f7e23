//! Which gateways are alive, asked at most once a second: entries of dead ones do not count.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chinwag_protocol::id::Incarnation;
use chinwag_store::{Result, Store};
use tokio::sync::Mutex;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

/// A cache of the living gateways. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Alive {
    known: Arc<Mutex<Known>>,
}

/// The last answer, and when it was given.
type Known = Option<(Instant, Arc<HashSet<Incarnation>>)>;

impl Alive {
    /// The gateways whose leases have not run out, as of at most a second ago.
    ///
    /// # Errors
    /// As every read. A failure says nothing about who is alive.
    pub async fn gateways(&self, store: &Store) -> Result<Arc<HashSet<Incarnation>>> {
        let mut known = self.known.lock().await;
        if let Some((when, gateways)) = known.as_ref()
            && when.elapsed() < FRESH
        {
            return Ok(Arc::clone(gateways));
        }
        let (processes, now) = store.gateways().await?;
        let alive = processes.into_iter().filter(|process| process.expiry > now);
        let gateways = Arc::new(alive.map(|process| process.incarnation).collect());
        *known = Some((Instant::now(), Arc::clone(&gateways)));
        Ok(gateways)
    }
}

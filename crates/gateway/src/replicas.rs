//! Waiting until replicas of Redis have what was written, in groups: while one wait is under way,
//! the next gathers.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chinwag_store::{Partition, Result, Store};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::Backend;

/// Most that wait for replicas on one thread. Beyond that, senders hear that it is accepted.
const WAITING_MOST: usize = 65_536;
/// How long one wait takes at most. Who waits longer joins the next group.
const WAIT: Duration = Duration::from_millis(1_000);

/// Those of one thread who wait for replicas.
#[derive(Default)]
pub(crate) struct Replicas {
    waiting: Mutex<Waiting>,
    /// A connection of its own: whatever goes through it waits with them.
    store: OnceLock<Store>,
}

#[derive(Default)]
struct Waiting {
    all: Vec<One>,
    served: bool,
}

struct One {
    partition: Partition,
    epoch: u64,
    until: Instant,
    answer: oneshot::Sender<bool>,
}

impl Backend {
    /// Waits until as many replicas as the settings ask for have what was written in an epoch of a
    /// partition before this was called. `false` if they have not by `until`.
    pub(crate) async fn replicated(
        &self,
        partition: Partition,
        epoch: u64,
        until: Instant,
    ) -> bool {
        if self.config.replicas == 0 {
            return false;
        }
        let (answer, replicated) = oneshot::channel();
        let one = One {
            partition,
            epoch,
            until,
            answer,
        };
        let serve = {
            let mut waiting = self
                .replicas
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.all.len() >= WAITING_MOST {
                return false;
            }
            waiting.all.push(one);
            !std::mem::replace(&mut waiting.served, true)
        };
        if serve {
            let backend = self.clone();
            self.context.spawn("wait for replicas", async move {
                backend.wait_for_replicas().await;
            });
        }
        replicated.await.unwrap_or(false)
    }

    async fn wait_for_replicas(&self) {
        loop {
            let group = {
                let mut waiting = self
                    .replicas
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if waiting.all.is_empty() {
                    waiting.served = false;
                    return;
                }
                std::mem::take(&mut waiting.all)
            };
            let mut places: Vec<(Partition, u64)> =
                group.iter().map(|one| (one.partition, one.epoch)).collect();
            places.sort_unstable_by_key(|(partition, epoch)| (partition.0, *epoch));
            places.dedup();
            let reached = self.await_replicas(&places).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot wait for replicas");
                Vec::new()
            });
            let now = Instant::now();
            let mut late = Vec::new();
            for one in group {
                let place = (one.partition, one.epoch);
                if reached.contains(&place) {
                    let _gone = one.answer.send(true);
                } else if reached.is_empty() && now < one.until && !one.answer.is_closed() {
                    late.push(one);
                } else {
                    let _gone = one.answer.send(false);
                }
            }
            if !late.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let mut waiting = self
                    .replicas
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                waiting.all.extend(late);
            }
        }
    }

    async fn await_replicas(&self, places: &[(Partition, u64)]) -> Result<Vec<(Partition, u64)>> {
        let store = match self.replicas.store.get() {
            Some(store) => store,
            None => {
                let store = self.store.another()?;
                self.replicas.store.get_or_init(|| store)
            }
        };
        store
            .await_replicas(places, self.config.replicas, WAIT)
            .await
    }
}

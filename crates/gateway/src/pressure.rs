//! Whether Redis has room for messages: senders are refused before it is full, so that what lets
//! go of memory, and everybody who reads, goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chinwag_protocol::code::{Code, Refusal};
use chinwag_runtime::Context;
use chinwag_store::Store;
use chinwag_store::check::Usage;

/// How often Redis is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How far below the limit, in percent of the memory, messages are taken again.
const RELIEF: u32 = 5;

/// Whether messages are refused.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    full: AtomicBool,
}

impl Pressure {
    /// Whether a message may be taken.
    ///
    /// # Errors
    /// `Unavailable` while Redis counts as full.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.full.load(Ordering::Relaxed) {
            let message = "the store is full; try again later";
            return Err(Refusal::new(Code::Unavailable, message));
        }
        Ok(())
    }

    /// Asks Redis until the context stops. Without an answer nothing changes.
    pub(crate) async fn watch(&self, store: &Store, percent: u32, context: &Context) {
        while !context.is_stopping() {
            if let Ok(usage) = store.server_usage().await {
                self.learn(usage, percent);
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = context.stopping() => {}
            }
        }
    }

    fn learn(&self, usage: Usage, percent: u32) {
        let was = self.full.load(Ordering::Relaxed);
        let limit = if was {
            percent.saturating_sub(RELIEF)
        } else {
            percent
        };
        let used = u128::from(usage.used_memory) * 100;
        let full = usage.maxmemory > 0
            && percent > 0
            && used >= u128::from(usage.maxmemory) * u128::from(limit);
        if full != was {
            let (used, most) = (usage.used_memory, usage.maxmemory);
            if full {
                tracing::error!(
                    used,
                    most,
                    percent,
                    "Redis is filling up: no messages are taken"
                );
            } else {
                tracing::info!(used, most, "Redis has room again: messages are taken");
            }
            self.full.store(full, Ordering::Relaxed);
        }
        metrics::gauge!("chinwag_gateway_refusing_messages").set(if full { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_refused_from_the_limit_on_until_there_is_room() {
        let pressure = Pressure::default();
        let admits = |used_memory, maxmemory| {
            let usage = Usage {
                used_memory,
                maxmemory,
                connected_clients: 1,
            };
            pressure.learn(usage, 80);
            pressure.admit().is_ok()
        };
        let used = [79, 80, 79, 75, 74, 79, 80].map(|used| admits(used, 100));
        assert_eq!(used, [true, false, false, false, true, true, false]);
        assert!(admits(1_000, 0), "without a limit it is never full");
    }
}

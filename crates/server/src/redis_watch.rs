//! Looks after Redis from every process: whether it answers, and how full it is.

use std::time::Duration;

use chinwag_runtime::Context;
use chinwag_store::Store;
use metrics::gauge;

const PING_INTERVAL: Duration = Duration::from_secs(1);
/// INFO walks through all of Redis's statistics; every tenth look is often enough for memory.
const LOOKS_PER_USAGE: u32 = 10;

/// Watches until the context stops. The part `redis` is ready while Redis answers.
pub fn start(context: &Context, store: Store) {
    let part = context.health().part("redis");
    let stopping = context.stopping();
    context.spawn("redis-watch", async move {
        let watch = async {
            for look in 0_u32.. {
                match store.time().await {
                    Ok(_) => part.ready(),
                    Err(error) => part.not_ready(error.to_string()),
                }
                if look.is_multiple_of(LOOKS_PER_USAGE) {
                    report(&store).await;
                }
                tokio::time::sleep(PING_INTERVAL).await;
            }
        };
        tokio::select! {
            () = watch => {}
            () = stopping => {}
        }
    });
}

async fn report(store: &Store) {
    match store.server_usage().await {
        Ok(usage) => {
            gauge!("chinwag_redis_used_memory_bytes").set(usage.used_memory as f64);
            gauge!("chinwag_redis_maxmemory_bytes").set(usage.maxmemory as f64);
            gauge!("chinwag_redis_connected_clients").set(usage.connected_clients as f64);
        }
        Err(error) => tracing::debug!(%error, "usage of Redis unknown"),
    }
}

//! Word that partitions become free. It only saves time: whoever misses it sees the same a beat later.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chinwag_runtime::Backoff;
use chinwag_store::channel::Heard;
use chinwag_store::{Result, Store};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

/// Words that wait to be taken up. All say the same, so that what does not fit is not missed.
const QUEUE: usize = 16;
/// How often the connection is asked whether it still lives.
const PING: Duration = Duration::from_secs(5);

/// Listens for as long as it is polled, on one connection after the other.
pub(super) async fn listen(store: Store, role: &'static str, word: Arc<Notify>) -> Infallible {
    let mut delays = Backoff::DEFAULT.delays();
    loop {
        match listen_once(&store, role, &word).await {
            Ok(()) => delays.reset(),
            Err(error) => tracing::debug!(%error, "cannot listen to other workers"),
        }
        delays.wait().await;
    }
}

/// Until the connection ends.
async fn listen_once(store: &Store, role: &'static str, word: &Notify) -> Result<()> {
    let mut listener = store.listen(QUEUE).await?;
    let mut ear = listener.ear();
    ear.join_as_worker(role).await?;
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = listener.heard.recv() => match heard {
                None => return Ok(()),
                Some(Heard::Handover) => word.notify_one(),
                Some(_) => {}
            },
            _ = ping.tick() => {
                ear.ping().await?;
                drop(ear.mend().await);
            }
        }
    }
}

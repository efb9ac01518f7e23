//! Hints that a list has work. Any may be missing: all lists are looked at anyway.

use std::time::Duration;

use chinwag_runtime::Backoff;
use chinwag_store::channel::Heard;
use chinwag_store::{Partition, Result, Store};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Hints that wait to be taken up. What does not fit is dropped.
pub(crate) const QUEUE: usize = 4_096;

/// How often the connection is asked whether it still lives.
const PING: Duration = Duration::from_secs(5);

/// Listens for as long as it is polled, on one connection after the other.
pub(crate) async fn listen(store: Store, hints: mpsc::Sender<Partition>) {
    let mut delays = Backoff::DEFAULT.delays();
    loop {
        match listen_once(&store, &hints).await {
            Ok(()) => delays.reset(),
            Err(error) => tracing::debug!(%error, "cannot listen for presence"),
        }
        delays.wait().await;
    }
}

/// Until the connection ends.
async fn listen_once(store: &Store, hints: &mpsc::Sender<Partition>) -> Result<()> {
    let mut listener = store.listen(QUEUE).await?;
    let mut ear = listener.ear();
    ear.join_as_presence_worker().await?;
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = listener.heard.recv() => match heard {
                None => return Ok(()),
                Some(Heard::Wake(partition)) => drop(hints.try_send(partition)),
                Some(_) => {}
            },
            _ = ping.tick() => {
                ear.ping().await?;
                drop(ear.mend().await);
            }
        }
    }
}

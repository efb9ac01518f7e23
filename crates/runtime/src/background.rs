//! Work that takes long and must not get into the way of what answers people: each piece on a
//! thread of its own, which the system lets wait when there is other work.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// How much nicer such a thread is than the others, from 0 to 19.
const NICE: i32 = 10;

/// Does work behind everything else. What it gives is lost if nobody waits for it any more. How many
/// pieces run at once is for the caller to bound.
///
/// # Errors
/// When the operating system gives no thread.
pub fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Without a process id it is this thread that is meant.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!(%error, "a thread runs at the usual priority");
            }
            drop(sender.send(work()));
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn such_a_thread_is_nicer_than_the_others() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let behind = run("behind", priority).unwrap().await.unwrap();
        assert_eq!(behind, (before + NICE).clamp(NICE, 19));
        assert_eq!(priority(), before, "only that thread");
    }
}

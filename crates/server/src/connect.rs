//! Getting hold of Redis and the archive, with a little patience: in a cluster everything starts
//! at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::Archive;
use chinwag_runtime::Backoff;
use chinwag_store::Store;
use tokio::time::Instant;

use crate::ending::Ending;
use crate::folder;
use crate::settings::Settings;

/// After this whoever started the process should hear of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to Redis and checks that it is fit.
///
/// # Errors
/// When it is not, or cannot be reached for [`PATIENCE`].
pub async fn store(settings: &Settings, url: &str) -> Result<Store, Ending> {
    let keys = settings.keys();
    let config = chinwag_store::Config {
        url: url.to_owned(),
        connect_timeout: keys.milliseconds("redis.connect_timeout_ms"),
        response_timeout: keys.milliseconds("redis.response_timeout_ms"),
        partitions: keys.integer("redis.partitions"),
    };
    let temporary = |error: &chinwag_store::Error| error.is_temporary();
    patiently("Redis", || Store::connect(config.clone()), temporary)
        .await
        .map_err(Ending::Redis)
}

/// Opens the archive and brings it up to date.
///
/// # Errors
/// When it is not usable, or cannot be reached for [`PATIENCE`].
pub async fn archive(settings: &Settings) -> Result<Arc<dyn Archive>, Ending> {
    if settings.archive_in_data {
        folder::make(&settings.data)?;
    }
    let open = || chinwag_archive::open(&settings.archive_url);
    let temporary = chinwag_archive::Error::is_temporary;
    patiently("the archive", open, temporary)
        .await
        .map_err(Ending::Archive)
}

/// Sees that Redis and the archive belong together.
///
/// # Errors
/// When they do not, or one of them does not say.
pub async fn acquaint(store: &Store, archive: &dyn Archive) -> Result<(), Ending> {
    let word = archive.identity().await.map_err(Ending::Archive)?;
    let belong = || store.belong_to_archive(&word);
    let temporary = |error: &chinwag_store::Error| error.is_temporary();
    patiently("Redis", belong, temporary)
        .await
        .map_err(Ending::Redis)
}

async fn patiently<T, E, F>(
    what: &'static str,
    mut attempt: impl FnMut() -> F,
    temporary: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let deadline = Instant::now() + PATIENCE;
    let mut delays = Backoff::DEFAULT.delays();
    loop {
        match attempt().await {
            Err(error) if temporary(&error) && Instant::now() < deadline => {
                if delays.failures() == 0 {
                    tracing::warn!(%error, "waiting for {what}");
                }
                delays.wait().await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_for_a_while() {
        let mut attempts = 0;
        let third = || {
            attempts += 1;
            std::future::ready(if attempts < 3 {
                Err("away")
            } else {
                Ok(attempts)
            })
        };
        assert_eq!(patiently("it", third, |_| true).await, Ok(3));
        let began = Instant::now();
        let never = || std::future::ready(Err::<(), _>("away"));
        assert_eq!(patiently("it", never, |_| true).await, Err("away"));
        assert!(began.elapsed() >= PATIENCE);
        let began = Instant::now();
        assert_eq!(patiently("it", never, |_| false).await, Err("away"));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

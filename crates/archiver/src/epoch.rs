//! Bringing Redis up to an epoch that the archive has allocated.
//!
//! Whoever allocates an epoch installs it, and may die in between. Or another Redis took one that
//! nobody uses any more: a former primary that was restarted alone. In both cases the archive
//! would refuse every commit from this Redis for ever, although nothing is wrong with it.

use chinwag_archive::Archive;
use chinwag_store::{Error, Partition, Store};
use chinwag_worker::Failure;

/// How often Redis may restart meanwhile.
const ATTEMPTS: usize = 4;

/// Installs in a partition the archive's epoch for this very run of Redis.
pub(crate) async fn raise(
    store: &Store,
    archive: &dyn Archive,
    partition: Partition,
) -> Result<(), Failure> {
    let mut epoch = store.epoch(partition).await?;
    // No run has this name: the answer names the one that is running.
    let mut run = String::new();
    for _ in 0..ATTEMPTS {
        match store.install_epoch(partition, epoch, &run).await {
            // Somebody has installed a later one already.
            Ok(()) | Err(Error::Fenced(_)) => {
                tracing::info!(partition = partition.0, epoch, "epoch installed");
                return Ok(());
            }
            Err(Error::NeedEpoch { run_id }) => {
                let known = store.epoch(partition).await?;
                let claim = store.claim_epoch(partition).await?;
                tracing::debug!(
                    partition = partition.0,
                    run_id,
                    claim,
                    "a reign without an epoch"
                );
                let allocated = archive.allocate_epoch(partition.0, &claim, known).await;
                epoch = allocated.map_err(|error| Failure::Later(error.to_string()))?;
                run = claim;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Later("Redis restarts again and again".to_owned()))
}

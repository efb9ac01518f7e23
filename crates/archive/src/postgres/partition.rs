//! The row of a partition: epoch, checkpoint and fence.

use tokio_postgres::Transaction;

use super::session::{Session, Statements};
use crate::archive::{Checkpoint, Commit};
use crate::error::{Error, Result};
use crate::page::clamped;
use crate::row::unsigned;

/// Takes the partition's row for the rest of the transaction and stores what the commit brings,
/// unless the fence is above it; then it changes and returns nothing. An epoch above the stored
/// one was allocated by an archive that is gone: it is taken over, and belongs to no run that this
/// one knows.
pub(super) const ADVANCE: &str = "
    INSERT INTO chinwag.partitions AS p (partition, token, epoch, log_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT (partition) DO UPDATE SET
        token = excluded.token,
        run_id = CASE WHEN excluded.epoch > p.epoch THEN NULL ELSE p.run_id END,
        epoch = excluded.epoch,
        log_id = excluded.log_id
    WHERE p.token <= excluded.token AND p.epoch <= excluded.epoch
    RETURNING 1";

/// The row of a partition.
pub(super) const FENCE: &str =
    "SELECT token, epoch, log_id FROM chinwag.partitions WHERE partition = $1";

const ALLOCATE: &str = "
    INSERT INTO chinwag.partitions AS p (partition, epoch, run_id) VALUES ($1, $3::bigint + 1, $2)
    ON CONFLICT (partition) DO UPDATE SET
        epoch = greatest(p.epoch, $3) + 1,
        run_id = excluded.run_id
    WHERE p.run_id IS DISTINCT FROM excluded.run_id OR p.epoch <= $3
    RETURNING epoch";

pub(super) async fn checkpoint(session: &Session, partition: u16) -> Result<Option<Checkpoint>> {
    let number = i32::from(partition);
    let row = session
        .client
        .query_opt(&session.statements.fence, &[&number])
        .await?;
    Ok(row.and_then(|row| {
        Some(Checkpoint {
            log_id: row.get::<_, Option<String>>(2)?,
            token: unsigned(row.get(0)),
            epoch: unsigned(row.get(1)),
        })
    }))
}

/// Whether the commit passed the fence, and its checkpoint is stored.
pub(super) async fn advance(
    transaction: &Transaction<'_>,
    statements: &Statements,
    commit: Commit<'_>,
) -> Result<bool> {
    let number = |value: u64| {
        i64::try_from(value).map_err(|_| Error::Refused(format!("{value} is too large")))
    };
    let (token, epoch) = (number(commit.token)?, number(commit.epoch)?);
    let partition = i32::from(commit.partition);
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&partition, &token, &epoch, &commit.upto];
    Ok(transaction
        .query_opt(&statements.advance, &values)
        .await?
        .is_some())
}

/// The token and epoch that a commit ran into.
pub(super) async fn fence(
    transaction: &Transaction<'_>,
    statements: &Statements,
    partition: u16,
) -> Result<(u64, u64)> {
    let row = transaction
        .query_one(&statements.fence, &[&i32::from(partition)])
        .await?;
    Ok((unsigned(row.get(0)), unsigned(row.get(1))))
}

/// See [`crate::Archive::allocate_epoch`].
pub(super) async fn allocate_epoch(
    session: &Session,
    partition: u16,
    run_id: &str,
    above: u64,
) -> Result<u64> {
    let (number, above) = (i32::from(partition), clamped(above));
    let allocated = session
        .client
        .query_opt(ALLOCATE, &[&number, &run_id, &above])
        .await?;
    let epoch: i64 = match allocated {
        Some(row) => row.get(0),
        None => session
            .client
            .query_one(&session.statements.fence, &[&number])
            .await?
            .get(1),
    };
    Ok(unsigned(epoch))
}

//! The row of a partition: epoch, checkpoint and fence.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::commit::Writing;
use crate::archive::Checkpoint;
use crate::error::Result;
use crate::row::unsigned;

pub(super) fn checkpoint(connection: &Connection, partition: u16) -> Result<Option<Checkpoint>> {
    let select = "
        SELECT log_id, token, epoch FROM partitions
        WHERE partition = ?1 AND log_id IS NOT NULL";
    let checkpoint = connection
        .prepare_cached(select)?
        .query_row([partition], |row| {
            Ok(Checkpoint {
                log_id: row.get(0)?,
                token: unsigned(row.get(1)?),
                epoch: unsigned(row.get(2)?),
            })
        })
        .optional()?;
    Ok(checkpoint)
}

/// The stored token and epoch, if one of them is above the commit's.
pub(super) fn fence(
    transaction: &Transaction<'_>,
    writing: &Writing,
) -> Result<Option<(u64, u64)>> {
    let select = "
        SELECT token, epoch FROM partitions
        WHERE partition = ?1 AND (token > ?2 OR epoch > ?3)";
    let fenced = transaction
        .prepare_cached(select)?
        .query_row(
            params![writing.partition, writing.token, writing.epoch],
            |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
        )
        .optional()?;
    Ok(fenced)
}

/// Stores what a commit brought, the fence having let it through. An epoch above the stored one
/// was allocated by an archive that is gone: it is taken over, and belongs to no run that this
/// one knows.
pub(super) fn advance(transaction: &Transaction<'_>, writing: &Writing) -> Result<()> {
    let upsert = "
        INSERT INTO partitions (partition, token, epoch, log_id) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (partition) DO UPDATE SET
            token = excluded.token,
            run_id = CASE WHEN excluded.epoch > epoch THEN NULL ELSE run_id END,
            epoch = excluded.epoch,
            log_id = excluded.log_id";
    let values = params![
        writing.partition,
        writing.token,
        writing.epoch,
        writing.upto
    ];
    transaction.prepare_cached(upsert)?.execute(values)?;
    Ok(())
}

/// See [`crate::Archive::allocate_epoch`].
pub(super) fn allocate_epoch(
    connection: &mut Connection,
    partition: u16,
    run_id: &str,
    above: i64,
) -> Result<u64> {
    let allocate = "
        INSERT INTO partitions (partition, epoch, run_id) VALUES (?1, ?3 + 1, ?2)
        ON CONFLICT (partition) DO UPDATE SET
            epoch = max(epoch, ?3) + 1,
            run_id = excluded.run_id
        WHERE run_id IS NOT excluded.run_id OR epoch <= ?3";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(allocate, params![partition, run_id, above])?;
    let select = "SELECT epoch FROM partitions WHERE partition = ?1";
    let epoch = transaction.query_row(select, [partition], |row| row.get(0))?;
    transaction.commit()?;
    Ok(unsigned(epoch))
}

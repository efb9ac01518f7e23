//! The schema `chinwag`, brought up to date under a lock.

use tokio_postgres::{Client, Config, Transaction};

use super::{address, session};
use crate::error::{Error, Result};
use crate::migrate::POSTGRES;

/// "chinwag" as a number: the advisory lock that processes take in turn.
const LOCK: i64 = 0x0063_6869_6e77_6167;

/// Checks the server, then creates or migrates the schema.
pub(super) async fn prepare(config: &Config) -> Result<()> {
    for host in address::in_the_clear(config) {
        tracing::warn!(
            host,
            "the connection to PostgreSQL is not encrypted (sslmode=disable accepts that)"
        );
    }
    let mut client = session::connect(config).await?;
    check(&client).await?;
    let transaction = client.transaction().await?;
    // A migration takes as long as it takes, and so does waiting for another process's.
    let patience = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '120s'";
    transaction.batch_execute(patience).await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    migrate(&transaction).await?;
    Ok(transaction.commit().await?)
}

async fn check(client: &Client) -> Result<()> {
    let settings = "
        SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
               current_setting('fsync')";
    let row = client.query_one(settings, &[]).await?;
    let (version, encoding, fsync): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    if version < 120_000 {
        let text = format!(
            "PostgreSQL 12 or later is needed, this is {}",
            version / 10_000
        );
        return Err(Error::Refused(text));
    }
    if encoding != "UTF8" {
        let text = format!("the database must have the encoding UTF8, it has {encoding}");
        return Err(Error::Refused(text));
    }
    if fsync == "off" {
        tracing::warn!(
            "this PostgreSQL has fsync off: what is archived is not safe from a power cut"
        );
    }
    Ok(())
}

async fn migrate(transaction: &Transaction<'_>) -> Result<()> {
    let found = version(transaction).await?;
    let missing = POSTGRES.missing(found)?;
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        transaction.batch_execute(migration).await?;
    }
    let latest = POSTGRES.latest();
    let set = "INSERT INTO chinwag.schema_version VALUES (true, $1)
               ON CONFLICT (one) DO UPDATE SET version = excluded.version";
    transaction
        .execute(set, &[&i32::try_from(latest).unwrap_or(i32::MAX)])
        .await?;
    tracing::info!(
        from = found,
        to = latest,
        "archive schema brought up to date"
    );
    Ok(())
}

/// The version of the schema, which is made if it is missing (or was made empty by an
/// administrator). One that holds other things is somebody else's.
async fn version(transaction: &Transaction<'_>) -> Result<u32> {
    let look = "
        SELECT to_regnamespace('chinwag') IS NOT NULL,
               to_regclass('chinwag.schema_version') IS NOT NULL,
               (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('chinwag'))";
    let row = transaction.query_one(look, &[]).await?;
    let (schema, versioned, things): (bool, bool, i64) = (row.get(0), row.get(1), row.get(2));
    if versioned {
        let select = "SELECT version FROM chinwag.schema_version";
        let version: i32 = transaction.query_one(select, &[]).await?.get(0);
        return Ok(u32::try_from(version).unwrap_or(u32::MAX));
    }
    if things > 0 {
        return Err(Error::Foreign("the schema \"chinwag\"".into()));
    }
    if !schema {
        transaction.batch_execute("CREATE SCHEMA chinwag").await?;
    }
    let create = "
        CREATE TABLE chinwag.schema_version (
            one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
            version INTEGER NOT NULL
        )";
    transaction.batch_execute(create).await?;
    Ok(0)
}

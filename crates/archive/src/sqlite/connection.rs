//! Connections to the file, with the settings that the promises rest on.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::{Error, Result};
use crate::migrate;

/// How long a statement waits for another process to finish writing.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// "chwa": marks the file as ours, as SQLite's `application_id` is for.
const APPLICATION: i32 = 0x6368_7761;

/// Settings of the one connection that writes.
///
/// - 8 KiB pages hold a few dozen messages of a room side by side.
/// - WAL lets readers read while it writes.
/// - FULL syncs the log at each commit; see the crate's page.
/// - The log is brought into the file every 64 MiB: a page of a busy room is then written there
///   once for many commits. It keeps no more than 128 MiB of disk.
const WRITING: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 134217728;
    PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;
";

const READING: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8192;";

/// Opens or makes the file and brings its schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = open(path, flags)?;
    refuse_foreign(&connection, path)?;
    connection.execute_batch(WRITING)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens the file to read; [`writer`] has been there.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch(READING)?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| Error::Refused(format!("opening {}: {error}", path.display())))?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A file with tables that is not marked as ours is left as it is.
fn refuse_foreign(connection: &Connection, path: &Path) -> Result<()> {
    // Both in one snapshot: between two, another process may make the file.
    let snapshot = connection.unchecked_transaction()?;
    let application: i32 = snapshot.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = snapshot.query_row(count, [], |row| row.get(0))?;
    snapshot.commit()?;
    if application == APPLICATION || (application == 0 && tables == 0) {
        return Ok(());
    }
    Err(Error::Foreign(path.display().to_string()))
}

fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = migrate::SQLITE.missing(found)?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        let latest = migrate::SQLITE.latest();
        transaction.pragma_update(None, "user_version", latest)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        tracing::info!(
            from = found,
            to = latest,
            "archive schema brought up to date"
        );
    }
    Ok(transaction.commit()?)
}

impl From<rusqlite::Error> for Error {
    /// SQLite's messages name tables and files, never values.
    fn from(error: rusqlite::Error) -> Self {
        let temporary = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::OutOfMemory
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::OperationInterrupted
            )
        );
        let text = format!("SQLite: {error}");
        if temporary {
            Self::Unavailable(text)
        } else {
            Self::Refused(text)
        }
    }
}

//! From an address to an archive.

use std::sync::Arc;

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::metered::Metered;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// Opens the archive at an address, and brings its schema up to date.
///
/// - `sqlite:PATH`: a file, made with its directories if missing. Several processes of one host may
///   open the same file; it must lie on a local disk, for locks over network file systems do not
///   hold what they promise.
/// - `postgres://user:password@host:port/database?...` (or `postgresql://`), with the parameters of
///   `tokio_postgres`. The user needs the right to create the schema `chinwag`, once.
///
/// # Errors
/// [`Error::Address`], [`Error::SchemaTooNew`] and [`Error::Foreign`] stay what they are until an
/// operator acts; [`Error::Unavailable`] may pass.
pub async fn open(url: &str) -> Result<Arc<dyn Archive>> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Arc::new(Metered::new(Sqlite::open(path.as_ref()).await?)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(Metered::new(Postgres::open(url).await?)));
    }
    // What is wrong may be a password in the wrong place: show no more than the scheme.
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    Err(Error::Address(format!(
        "must begin with sqlite: or postgres://, and begins with {:?}",
        scheme.chars().take(16).collect::<String>()
    )))
}

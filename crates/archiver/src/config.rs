//! What an archiver is told.

use std::time::Duration;

/// Why an archiver does not run at all.
pub use chinwag_worker::Error;

/// What an archiver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long an archiver that has gone silent keeps its partitions. At least 100 ms.
    pub lease: Duration,
    /// Most entries of one partition in one commit. At least 1.
    pub batch: usize,
}

impl Default for Config {
    fn default() -> Self {
        let chinwag_worker::Config { lease, batch } = chinwag_worker::Config::default();
        Self { lease, batch }
    }
}

impl From<Config> for chinwag_worker::Config {
    fn from(config: Config) -> Self {
        let Config { lease, batch } = config;
        Self { lease, batch }
    }
}

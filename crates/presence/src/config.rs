//! What a presence worker is told.

use std::time::Duration;

/// Why a presence worker does not run at all.
pub use chinwag_worker::Error;

/// What a presence worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long a worker that has gone silent keeps its partitions. At least 100 ms.
    pub lease: Duration,
    /// How often all lists and gateways are looked at, whatever was heard; and how long changes
    /// gather before rooms are told.
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let lease = chinwag_worker::Config::default().lease;
        Self {
            lease,
            interval: Duration::from_secs(1),
        }
    }
}

impl From<Config> for chinwag_worker::Config {
    fn from(config: Config) -> Self {
        Self {
            lease: config.lease,
            ..Self::default()
        }
    }
}

//! What a worker is told, and why it may refuse to run.

use std::time::Duration;

use thiserror::Error as ThisError;

/// What every worker is told, whatever its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long a worker that has gone silent keeps its partitions. Renewed five times as often.
    /// At least 100 ms.
    pub lease: Duration,
    /// Most entries of one partition that are done at once. All partitions together are limited
    /// to [`ROUND_ENTRIES`], which bounds a worker's memory. At least 1.
    pub batch: usize,
}

/// Most entries, of all partitions together, that a worker holds in memory. With messages of the
/// largest size, 32 KiB, that is 128 MiB.
pub const ROUND_ENTRIES: usize = 4096;

const LEAST_LEASE: Duration = Duration::from_millis(100);

/// Why a worker does not run at all. Whatever may pass by itself is waited for instead.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A setting is out of its range.
    #[error("{0}")]
    Config(&'static str),
    /// Redis cannot even be tried: its address is not one.
    #[error(transparent)]
    Store(#[from] chinwag_store::Error),
}

impl Config {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Says which setting is out of its range.
    pub fn checked(self) -> Result<Self, Error> {
        if self.lease < LEAST_LEASE {
            return Err(Error::Config("the lease must be at least 100 ms"));
        }
        if self.batch == 0 {
            return Err(Error::Config("the batch must be at least 1 entry"));
        }
        Ok(self)
    }

    /// How often a lease is renewed, and how late a worker may learn of a change.
    pub(crate) fn beat(&self) -> Duration {
        self.lease / 5
    }

    /// How many entries of each of `partitions` are read at once.
    pub(crate) fn batch_for(&self, partitions: usize) -> usize {
        self.batch.min(ROUND_ENTRIES / partitions.max(1)).max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            batch: 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_of_many_partitions_reads_less_of_each() {
        let config = Config::default();
        assert_eq!(config.batch_for(0), 500);
        assert_eq!(config.batch_for(8), 500);
        assert_eq!(config.batch_for(64), 64);
        assert_eq!(config.batch_for(10_000), 1);
    }

    #[test]
    fn ranges_are_checked() {
        let short = Config {
            lease: Duration::from_millis(99),
            ..Config::default()
        };
        assert!(short.checked().is_err());
        let none = Config {
            batch: 0,
            ..Config::default()
        };
        assert!(none.checked().is_err());
        assert!(Config::default().checked().is_ok());
    }
}

//! What a fan-out worker is told.

use std::time::Duration;

/// Why a fan-out worker does not run at all.
pub use chinwag_worker::Error;

/// What a fan-out worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long a worker that has gone silent keeps its partitions. At least 100 ms.
    pub lease: Duration,
    /// Most entries of one partition that are done at once. At least 1.
    pub batch: usize,
    /// How often a room moves in its members' lists, at most.
    pub activity_interval: Duration,
    /// How often a large room does.
    pub large_room_interval: Duration,
    /// A room of more members than this is large.
    pub large_room: usize,
    /// How many members of rooms are remembered, in all partitions of the deployment together.
    /// One takes about 60 bytes. Rooms that were quiet longest are forgotten first, and read again
    /// when somebody says something; the room of each partition that spoke last always stays.
    pub cached_members: usize,
}

impl Default for Config {
    fn default() -> Self {
        let chinwag_worker::Config { lease, batch } = chinwag_worker::Config::default();
        Self {
            lease,
            batch,
            activity_interval: Duration::from_secs(5),
            large_room_interval: Duration::from_secs(60),
            large_room: 250,
            cached_members: 1_000_000,
        }
    }
}

impl From<Config> for chinwag_worker::Config {
    fn from(config: Config) -> Self {
        let Config { lease, batch, .. } = config;
        Self { lease, batch }
    }
}

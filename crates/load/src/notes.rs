//! What one client writes down, on the clock of all.

use tokio::time::Instant;

use crate::check::history::{Record, What};

/// The run's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(pub Instant);

impl Clock {
    pub fn microseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// One client's records; how many there can be was decided with its part.
#[derive(Debug)]
pub(crate) struct Notes {
    pub clock: Clock,
    pub client: u32,
    /// Whether anything is kept.
    pub on: bool,
    pub records: Vec<Record>,
}

impl Notes {
    pub fn write(&mut self, what: What) {
        if self.on {
            self.records.push(Record {
                at: self.clock.microseconds(),
                client: self.client,
                what,
            });
        }
    }
}

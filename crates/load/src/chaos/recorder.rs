//! What clients did and saw, written down with one clock.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::check::history::{Final, History, Injection, Record, What};

/// Takes notes for all clients. Bounded by the run, which has an end.
pub(crate) struct Recorder {
    begin: Instant,
    history: Mutex<History>,
}

impl Recorder {
    /// An empty history that begins now.
    pub fn new() -> Self {
        Self {
            begin: Instant::now(),
            history: Mutex::default(),
        }
    }

    /// Microseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes what a client did or saw just now; when that was.
    pub fn note(&self, client: u32, what: What) -> u64 {
        let mut history = self.history();
        // Within the lock, so that the order of notes is that of their times.
        let at = self.now();
        history.records.push(Record { at, client, what });
        at
    }

    /// Notes a fault.
    pub fn injected(&self, injection: Injection) {
        self.history().injections.push(injection);
    }

    /// Notes a room as it stands at the end.
    pub fn finally(&self, last: Final) {
        self.history().finals.push(last);
    }

    /// Takes everything that was noted so far.
    pub fn take(&self) -> History {
        std::mem::take(&mut *self.history())
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

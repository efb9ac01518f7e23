//! Whether this process should get work, and whether it still does any.
//!
//! *Ready* is a latch per named part: each part begins closed and is released by whoever looks
//! after it. The process is ready when all parts are, and never again once it drains.
//!
//! *Alive* is progress: each runtime, and each loop that wants to, has a [`Pulse`] and beats it. A
//! pulse that has been silent for [`STALLED_AFTER`] means that something hangs, even while the
//! admin port still answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// The silence of a pulse after which the process no longer counts as alive. Long enough for a
/// stop of the world by a busy machine, short enough to be restarted before users give up.
pub const STALLED_AFTER: Duration = Duration::from_secs(15);

const STARTING: &str = "starting";

/// The health of one process: a cheap handle that all parts share.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    draining: AtomicBool,
    /// What the drain waits for.
    stage: Mutex<Option<&'static str>>,
    /// Name of a part -> why it is not ready; `None` when it is.
    parts: Mutex<BTreeMap<String, Option<String>>>,
    /// Name of a pulse -> milliseconds from `started` to its last beat.
    pulses: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

/// What `/ready` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether work may be sent here.
    pub ready: bool,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// What is waited for on the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// Each part: "ready", or the reason why it is not.
    pub parts: BTreeMap<String, String>,
}

/// What `/live` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Liveness {
    /// Whether every pulse beat within [`STALLED_AFTER`].
    pub alive: bool,
    /// Milliseconds since the last beat of each pulse.
    pub silent_ms: BTreeMap<String, u64>,
}

impl Health {
    /// A process without parts: ready, alive.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                started: Instant::now(),
                draining: AtomicBool::new(false),
                stage: Mutex::default(),
                parts: Mutex::default(),
                pulses: Mutex::default(),
            }),
        }
    }

    /// Adds a part, not ready until it says so. The same name twice is the same part.
    #[must_use]
    pub fn part(&self, name: impl Into<String>) -> Part {
        let name = name.into();
        lock(&self.shared.parts)
            .entry(name.clone())
            .or_insert_with(|| Some(STARTING.to_owned()));
        Part {
            shared: Arc::clone(&self.shared),
            name,
        }
    }

    /// Adds a pulse, which begins with a beat and is forgotten when its last holder drops it.
    #[must_use]
    pub fn pulse(&self, name: impl Into<String>) -> Pulse {
        let name = name.into();
        let beat = Arc::new(AtomicU64::new(self.shared.now()));
        lock(&self.shared.pulses).insert(name.clone(), Arc::clone(&beat));
        Pulse {
            shared: Arc::clone(&self.shared),
            name,
            beat,
        }
    }

    /// From now on the process is not ready, whatever its parts say.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Says what is waited for on the way out.
    pub fn stage(&self, stage: &'static str) {
        *lock(&self.shared.stage) = Some(stage);
        tracing::info!(stage, "draining");
    }

    /// The present answer of `/ready`.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let draining = self.shared.draining.load(Ordering::Acquire);
        let parts = lock(&self.shared.parts);
        Readiness {
            ready: !draining && parts.values().all(Option::is_none),
            draining,
            stage: *lock(&self.shared.stage),
            parts: parts
                .iter()
                .map(|(name, reason)| {
                    (
                        name.clone(),
                        reason.clone().unwrap_or_else(|| "ready".to_owned()),
                    )
                })
                .collect(),
        }
    }

    /// The present answer of `/live`.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        let now = self.shared.now();
        let silent_ms: BTreeMap<String, u64> = lock(&self.shared.pulses)
            .iter()
            .map(|(name, beat)| {
                (
                    name.clone(),
                    now.saturating_sub(beat.load(Ordering::Relaxed)),
                )
            })
            .collect();
        let limit = milliseconds(STALLED_AFTER);
        Liveness {
            alive: silent_ms.values().all(|silence| *silence < limit),
            silent_ms,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn now(&self) -> u64 {
        milliseconds(self.started.elapsed())
    }
}

/// One part's latch. Its last word stays when the handle is dropped.
#[derive(Debug, Clone)]
pub struct Part {
    shared: Arc<Shared>,
    name: String,
}

impl Part {
    /// Releases the latch.
    pub fn ready(&self) {
        self.set(None);
    }

    /// Closes the latch again, with the reason that `/ready` shows to operators.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        let mut parts = lock(&self.shared.parts);
        let before = parts.insert(self.name.clone(), reason.clone()).flatten();
        drop(parts);
        match (before, reason) {
            (Some(_), None) => tracing::info!(part = self.name, "ready"),
            // While draining, parts end one after the other, as they should.
            (None, Some(reason)) if !self.shared.draining.load(Ordering::Acquire) => {
                tracing::warn!(part = self.name, reason, "no longer ready");
            }
            _ => {}
        }
    }
}

/// Proof of progress of one runtime or loop.
#[derive(Debug)]
pub struct Pulse {
    shared: Arc<Shared>,
    name: String,
    beat: Arc<AtomicU64>,
}

impl Pulse {
    /// Says that progress was made just now.
    pub fn beat(&self) {
        self.beat.store(self.shared.now(), Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut pulses = lock(&self.shared.pulses);
        // A successor of the same name may have taken the place already.
        if pulses
            .get(&self.name)
            .is_some_and(|beat| Arc::ptr_eq(beat, &self.beat))
        {
            pulses.remove(&self.name);
        }
    }
}

/// The maps are whole after every statement, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_must_release_their_latch() {
        let health = Health::new();
        assert!(
            health.readiness().ready,
            "a process without parts waits for nothing"
        );
        let (redis, archive) = (health.part("redis"), health.part("archive"));
        redis.ready();
        assert_eq!(health.readiness().parts["archive"], "starting");
        assert!(!health.readiness().ready);
        archive.ready();
        assert!(health.readiness().ready);
        redis.not_ready("connection refused");
        assert_eq!(health.readiness().parts["redis"], "connection refused");
        assert!(!health.readiness().ready);
    }

    #[test]
    fn a_draining_process_is_never_ready_again() {
        let health = Health::new();
        let redis = health.part("redis");
        health.drain();
        redis.ready();
        health.stage("workers");
        assert!(!health.readiness().ready);
        assert!(health.readiness().draining);
        assert_eq!(health.readiness().stage, Some("workers"));
    }

    #[test]
    fn a_silent_pulse_is_not_alive_and_a_dropped_one_is_forgotten() {
        let mut health = Health::new();
        let shared = Arc::get_mut(&mut health.shared).unwrap();
        shared.started = Instant::now().checked_sub(STALLED_AFTER * 2).unwrap();
        let pulse = health.pulse("main");
        assert!(health.liveness().alive);
        pulse.beat.store(0, Ordering::Relaxed);
        assert!(!health.liveness().alive);
        pulse.beat();
        assert!(health.liveness().alive);
        pulse.beat.store(0, Ordering::Relaxed);
        drop(pulse);
        assert!(health.liveness().alive);
    }

    #[test]
    fn the_successor_of_a_pulse_survives_its_predecessor() {
        let health = Health::new();
        let old = health.pulse("main");
        let _new = health.pulse("main");
        drop(old);
        assert_eq!(health.liveness().silent_ms.len(), 1);
    }
}

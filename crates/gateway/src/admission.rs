//! How many new sessions a gateway takes on in a second. When everybody comes back at once, some
//! are turned away with a time to come again, each with another one, so that they come as fast as
//! they can be taken on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::rate::Bucket;

/// Longest time that anybody is sent away for.
const LONGEST: Duration = Duration::from_secs(30);
/// Those who come back do not do so to the second, so the time is spread wider than it need be.
const SPREAD: f64 = 2.0;

/// Lets in new sessions at a pace.
#[derive(Debug)]
pub(crate) struct Admission {
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    /// About how many were turned away and have not come back.
    away: f64,
    counted: Instant,
}

impl Admission {
    /// So many a second, and so many at once; 0 a second is no limit.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let per_second = f64::from(per_second);
        let state = State {
            bucket: Bucket::new(per_second, f64::from(burst.max(1))),
            away: 0.0,
            counted: Instant::now(),
        };
        Self {
            per_second,
            state: Mutex::new(state),
        }
    }

    /// Lets a session in.
    ///
    /// # Errors
    /// With how long to stay away.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        self.admit_at(Instant::now(), fastrand::f64())
    }

    /// `chance` is from 0 to 1.
    fn admit_at(&self, now: Instant, chance: f64) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(state.counted).as_secs_f64();
        state.away = (state.away - since * self.per_second).max(0.0);
        state.counted = state.counted.max(now);
        if state.bucket.take_at(now) {
            return Ok(());
        }
        state.away += 1.0;
        let longest = LONGEST.as_secs_f64();
        let seconds = (1.0 + SPREAD * state.away / self.per_second).min(longest);
        Err(Duration::from_secs_f64(1.0 + chance * (seconds - 1.0)))
    }

    /// When somebody may come back who was turned away for want of a place: soon, but not all at
    /// once.
    pub(crate) fn later() -> Duration {
        Duration::from_secs_f64(1.0 + 4.0 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_in_at_the_pace_and_nobody_is_sent_away_for_long() {
        let admission = Admission::new(100, 200);
        let start = Instant::now();
        // A crowd of 1000 comes at once; each comes back when told.
        let mut due: Vec<(Duration, u32)> = (0..1_000).map(|_| (Duration::ZERO, 0)).collect();
        let mut admitted: Vec<Duration> = Vec::new();
        let mut attempts = 0;
        let mut random = fastrand::Rng::with_seed(7);
        while !due.is_empty() {
            due.sort_unstable();
            let (at, tries) = due.remove(0);
            attempts += 1;
            match admission.admit_at(start + at, random.f64()) {
                Ok(()) => admitted.push(at),
                Err(wait) => due.push((at + wait, tries + 1)),
            }
        }
        let last = admitted.iter().max().unwrap();
        assert!(*last < Duration::from_secs(30), "{last:?}");
        assert!(attempts < 3_500, "{attempts}");
        for second in 0..last.as_secs() {
            let within = admitted.iter().filter(|at| at.as_secs() == second).count();
            let most = if second == 0 { 300 } else { 201 };
            assert!(within <= most, "{within} in second {second}");
        }
    }

    #[test]
    fn zero_is_no_limit() {
        let admission = Admission::new(0, 1);
        assert!((0..10_000).all(|_| admission.admit().is_ok()));
    }
}

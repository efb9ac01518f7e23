//! How often something may be tried, for many keys in bounded memory.
//!
//! Per key one number is kept: when all that was taken will have been given back (GCRA). A key
//! whose moment has passed is as good as unknown, so forgetting it changes nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most keys that are remembered, about 8 MB. Beyond that new ones are refused, until others are
/// forgotten: with that many keys in use at once this is an attack.
const KEYS_MOST: usize = 50_000;

/// The least time between two looks for keys to forget.
const SWEEP: Duration = Duration::from_secs(1);

/// How often is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// How often at once.
    pub burst: u32,
    /// Then once in this time.
    pub every: Duration,
}

/// Counts attempts by key.
pub(crate) struct Throttle<K> {
    rate: Rate,
    known: Mutex<Known<K>>,
}

struct Known<K> {
    /// When each key will have everything back.
    whole: HashMap<K, Instant>,
    /// When it is worth looking again for keys to forget: looking takes as long as there are keys.
    next_sweep: Option<Instant>,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    pub fn new(rate: Rate) -> Self {
        let known = Known {
            whole: HashMap::new(),
            next_sweep: None,
        };
        Self {
            rate,
            known: Mutex::new(known),
        }
    }

    /// Takes one attempt, or says how long to wait for the next.
    pub fn charge(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut known = self.lock();
        if known.whole.len() >= KEYS_MOST && !known.whole.contains_key(key) {
            if known.next_sweep.is_none_or(|next| next <= now) {
                known.whole.retain(|_, whole| *whole > now);
                known.next_sweep = Some(now + self.rate.every.max(SWEEP));
            }
            if known.whole.len() >= KEYS_MOST {
                return Err(self.rate.every);
            }
        }
        let since = known.whole.get(key).copied().unwrap_or(now).max(now);
        let next = since + self.rate.every;
        let allowed = now + self.rate.every * self.rate.burst;
        if next > allowed {
            return Err(next - allowed);
        }
        known.whole.insert(key.clone(), next);
        Ok(())
    }

    /// Gives one attempt back.
    pub fn give_back(&self, key: &K) {
        if let Some(whole) = self.lock().whole.get_mut(key) {
            *whole = whole.checked_sub(self.rate.every).unwrap_or(*whole);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        every: Duration::from_secs(10),
    };

    #[test]
    fn a_burst_then_one_at_a_time() {
        let throttle = Throttle::new(RATE);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(throttle.charge(&"ann", start), Ok(()));
        }
        assert_eq!(throttle.charge(&"ann", start), Err(Duration::from_secs(10)));
        assert_eq!(throttle.charge(&"bob", start), Ok(()));
        let later = start + Duration::from_secs(4);
        assert_eq!(throttle.charge(&"ann", later), Err(Duration::from_secs(6)));
        let later = start + Duration::from_secs(10);
        assert_eq!(throttle.charge(&"ann", later), Ok(()));
        assert!(throttle.charge(&"ann", later).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let throttle = Throttle::new(RATE);
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(throttle.charge(&"ann", start), Ok(()));
            throttle.give_back(&"ann");
        }
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let throttle = Throttle::new(RATE);
        let start = Instant::now();
        for key in 0..KEYS_MOST {
            throttle.charge(&key, start).unwrap();
        }
        assert!(throttle.charge(&KEYS_MOST, start).is_err());
        assert!(throttle.charge(&0, start).is_ok(), "a known key goes on");
        let later = start + Duration::from_secs(30);
        assert_eq!(throttle.charge(&KEYS_MOST, later), Ok(()));
        assert_eq!(throttle.lock().whole.len(), 1);
    }
}

//! How long to wait before trying again.
//!
//! Exponential with full jitter: the n-th delay is anything between nothing and `least * 2^n`,
//! never more than `most`. Many processes that lost the same Redis then come back spread over time
//! and not in waves.

use std::time::Duration;

/// The limits of a series of delays. A value of this type is always valid: `0 < least <= most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    least: Duration,
    most: Duration,
}

/// Why two durations do not make a [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// A first delay of zero would stay zero for ever, which is a busy loop.
    #[error("the least delay must be longer than zero")]
    Zero,
    /// The limits contradict each other.
    #[error("the least delay must not be longer than the most")]
    Reversed,
}

impl Backoff {
    /// For a peer that is usually back within seconds: from 100 ms up to 5 s.
    pub const DEFAULT: Self = Self {
        least: Duration::from_millis(100),
        most: Duration::from_secs(5),
    };

    /// Checks the limits.
    ///
    /// # Errors
    /// When `least` is zero or longer than `most`.
    pub const fn new(least: Duration, most: Duration) -> Result<Self, InvalidBackoff> {
        if least.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if least.as_nanos() > most.as_nanos() {
            return Err(InvalidBackoff::Reversed);
        }
        Ok(Self { least, most })
    }

    /// The longest that the delay after `failures` failures in a row can be.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.least.saturating_mul(factor).min(self.most)
    }

    /// Begins a series.
    #[must_use]
    pub fn delays(self) -> Delays {
        Delays {
            backoff: self,
            failures: 0,
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One series of delays: made when something is first tried, reset whenever it works.
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    failures: u32,
}

impl Delays {
    /// The next delay, drawn at random below the present ceiling.
    pub fn draw(&mut self) -> Duration {
        let ceiling = self.backoff.ceiling(self.failures);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(fastrand::f64())
    }

    /// Sleeps for the next delay.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.draw()).await;
    }

    /// How many delays were drawn since the beginning or the last [`Delays::reset`].
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Says that it worked: the next delay is a short one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn valid() -> impl Strategy<Value = Backoff> {
        (1..10_000_u64, 0..100_000_u64).prop_map(|(least, more)| {
            Backoff::new(
                Duration::from_millis(least),
                Duration::from_millis(least + more),
            )
            .unwrap()
        })
    }

    proptest! {
        #[test]
        fn delays_stay_below_a_ceiling_that_only_rises(backoff in valid(), count in 1..80_u32) {
            let mut delays = backoff.delays();
            for failures in 0..count {
                prop_assert!(delays.draw() <= backoff.ceiling(failures));
                prop_assert!(backoff.ceiling(failures) <= backoff.ceiling(failures + 1));
                prop_assert!(backoff.ceiling(failures) <= backoff.most);
            }
        }

        #[test]
        fn the_ceiling_doubles_until_the_most(backoff in valid(), failures in 0..30_u32) {
            let doubled = backoff.ceiling(failures).saturating_mul(2).min(backoff.most);
            prop_assert_eq!(backoff.ceiling(failures + 1), doubled);
        }

        #[test]
        fn a_reset_begins_again(backoff in valid(), count in 0..80_u32) {
            let mut delays = backoff.delays();
            for _ in 0..count {
                delays.draw();
            }
            delays.reset();
            prop_assert!(delays.draw() <= backoff.least);
        }
    }

    #[test]
    fn limits_are_checked() {
        let second = Duration::from_secs(1);
        assert_eq!(
            Backoff::new(Duration::ZERO, second),
            Err(InvalidBackoff::Zero)
        );
        assert_eq!(
            Backoff::new(second * 2, second),
            Err(InvalidBackoff::Reversed)
        );
        assert!(Backoff::new(second, second).is_ok());
    }
}

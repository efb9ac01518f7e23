//! How many commands one connection may send: a bucket of tokens that fills steadily.

use std::time::Instant;

use chinwag_protocol::code::{Code, Refusal};

/// How many seconds' worth of commands may come at once.
const BURST_SECONDS: f64 = 2.0;

/// A bucket of tokens, one a command.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    /// A full bucket; 0 a second is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            tokens: per_second * BURST_SECONDS,
            filled: Instant::now(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// With the limit, when the bucket is empty.
    pub(crate) fn take(&mut self) -> Result<(), Refusal> {
        self.take_at(Instant::now())
    }

    fn take_at(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.per_second * BURST_SECONDS);
        self.filled = now;
        if self.tokens < 1.0 {
            let message = format!("at most {} commands a second", self.per_second);
            return Err(Refusal::new(Code::TooManyRequests, message));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut rate = Rate::new(10);
        let now = Instant::now();
        let passed = (0..100).filter(|_| rate.take_at(now).is_ok()).count();
        assert_eq!(passed, 20);
        let later = now + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| rate.take_at(later).is_ok()).count(), 5);
        assert!(Rate::new(0).take().is_ok());
    }
}

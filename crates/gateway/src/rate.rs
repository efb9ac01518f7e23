//! How often something may happen: a bucket of tokens that fills steadily.

use std::time::Instant;

use chinwag_protocol::code::{Code, Refusal};

/// How many seconds' worth of commands may come at once.
const BURST_SECONDS: f64 = 2.0;
/// How many seconds' worth of refusals a connection may collect before it is closed.
const PATIENCE_SECONDS: f64 = 10.0;

/// A bucket of tokens.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket that fills with so many tokens a second up to `most`; 0 a second is no limit.
    pub(crate) fn new(per_second: f64, most: f64) -> Self {
        Self {
            per_second,
            most,
            tokens: most,
            filled: Instant::now(),
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take_at(&mut self, now: Instant) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.most);
        self.filled = self.filled.max(now);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

/// How many commands one connection may send.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    commands: Bucket,
    /// What is sent although the bucket of commands is empty. Refusing costs too.
    beyond: Bucket,
}

impl Rate {
    /// Two full buckets; 0 a second is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second);
        Self {
            per_second,
            commands: Bucket::new(rate, rate * BURST_SECONDS),
            beyond: Bucket::new(rate, rate * PATIENCE_SECONDS),
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
        if self.commands.take_at(now) {
            return Ok(());
        }
        Err(Refusal::new(Code::TooManyRequests, self.limit()))
    }

    /// Whether somebody who was just refused may stay. Who goes on for long as if there were no
    /// limit may not.
    pub(crate) fn bears(&mut self) -> bool {
        self.beyond.take_at(Instant::now())
    }

    /// The limit, for whoever is over it.
    pub(crate) fn limit(&self) -> String {
        format!("at most {} commands a second", self.per_second)
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

    #[test]
    fn who_goes_on_although_refused_is_borne_for_a_while() {
        let mut rate = Rate::new(10);
        let borne = (0..1_000).filter(|_| rate.bears()).count();
        assert!((100..110).contains(&borne), "{borne}");
        assert!(Rate::new(0).bears());
    }
}

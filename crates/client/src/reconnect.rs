//! When to come back.

use std::time::Duration;

use uuid::Uuid;

use crate::connect::Options;
use crate::error::Error;

/// Time between attempts: random between nothing and a ceiling that doubles with each failure.
/// Thousands of clients that lose one server so return spread out in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    least: Duration,
    most: Duration,
}

/// So that a jitter of nothing does not make a loop that spins.
const FLOOR: Duration = Duration::from_millis(10);

impl Backoff {
    /// The first ceiling, and the last one.
    ///
    /// # Errors
    /// `Option` if `least` is zero or more than `most`.
    pub fn new(least: Duration, most: Duration) -> Result<Self, Error> {
        if least.is_zero() || least > most {
            let problem = format!("backoff must be positive and rise, got {least:?} to {most:?}");
            return Err(Error::Option(problem));
        }
        Ok(Self { least, most })
    }

    /// How long no attempt waits longer than, after so many failures.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.least.saturating_mul(factor).min(self.most)
    }

    /// The wait before the next attempt, after so many failures.
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        self.ceiling(failures).mul_f64(share()).max(FLOOR)
    }
}

impl Default for Backoff {
    /// From half a second to 20 seconds, as the official SDKs do.
    fn default() -> Self {
        Self {
            least: Duration::from_millis(500),
            most: Duration::from_secs(20),
        }
    }
}

/// Some share of one, at random.
pub(crate) fn share() -> f64 {
    f64::from(random()) / f64::from(u32::MAX)
}

/// 32 random bits: the last ones of a fresh identifier.
fn random() -> u32 {
    let [.., a, b, c, d] = Uuid::now_v7().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The addresses of a system, one after the other.
pub(crate) struct Addresses {
    urls: Vec<String>,
    at: usize,
    failures: u32,
}

impl Addresses {
    pub fn new(options: &Options) -> Self {
        let first = std::iter::once(&options.url);
        Self {
            urls: first.chain(&options.more_urls).cloned().collect(),
            at: 0,
            failures: 0,
        }
    }

    /// Where to connect now.
    pub fn url(&self) -> &str {
        self.urls.get(self.at).map_or("", String::as_str)
    }

    /// A connection has failed, or has ended after having `lasted`: goes on to the next address,
    /// and tells how long to wait before trying it. Only who has tried them all waits longer.
    pub fn failed(&mut self, error: &Error, lasted: bool, backoff: Backoff) -> Duration {
        self.failures = if lasted { 0 } else { self.failures + 1 };
        self.at = (self.at + 1) % self.urls.len().max(1);
        let rounds = self.failures / u32::try_from(self.urls.len().max(1)).unwrap_or(u32::MAX);
        let wait = backoff.wait(rounds);
        match error {
            // Who was told to wait does, wherever to: the next gateway is as full as this one.
            Error::Refused {
                retry_after: Some(after),
                ..
            } => wait + *after,
            _ => wait,
        }
    }
}

/// Whether to try again after this, as far as it lies with the server.
#[must_use]
pub fn comes_back(error: &Error) -> bool {
    match error {
        Error::Closed(closed) => closed.reconnects(),
        Error::Reply {
            code, temporary, ..
        } => *temporary || *code < 100,
        Error::Unreachable(_) | Error::Refused { .. } | Error::Timeout | Error::Malformed(_) => {
            true
        }
        Error::Option(_) | Error::Full | Error::Ended => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Closed;
    use proptest::prelude::*;

    #[test]
    fn ceilings_double_up_to_the_last() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350)).unwrap();
        let ceilings: Vec<_> = [0, 1, 2, 31, 32, u32::MAX]
            .map(|failures| backoff.ceiling(failures).as_millis())
            .into();
        assert_eq!(ceilings, [100, 200, 350, 350, 350, 350]);
        assert!(Backoff::new(Duration::ZERO, Duration::from_secs(1)).is_err());
        assert!(Backoff::new(Duration::from_secs(2), Duration::from_secs(1)).is_err());
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|_| Backoff::default().wait(5)).collect();
        assert!(waits.len() > 90, "{}", waits.len());
    }

    proptest! {
        #[test]
        fn waits_stay_below_their_ceiling(failures in 0u32..100) {
            let backoff = Backoff::default();
            prop_assert!(backoff.wait(failures) <= backoff.ceiling(failures));
        }
    }

    #[test]
    fn addresses_are_tried_in_turn_and_who_is_told_to_wait_does() {
        let options = Options {
            more_urls: vec!["ws://b/".to_owned()],
            ..Options::new("ws://a/", "")
        };
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1)).unwrap();
        let mut addresses = Addresses::new(&options);
        let gone = Error::Unreachable("test".to_owned());
        assert_eq!(addresses.url(), "ws://a/");
        assert!(addresses.failed(&gone, true, backoff) <= backoff.ceiling(0));
        assert_eq!(addresses.url(), "ws://b/");
        assert!(addresses.failed(&gone, false, backoff) <= backoff.ceiling(0));
        assert_eq!(addresses.url(), "ws://a/");
        let full = Error::Refused {
            status: 503,
            body: String::new(),
            retry_after: Some(Duration::from_secs(7)),
        };
        let wait = addresses.failed(&full, false, backoff);
        assert!(
            wait > Duration::from_secs(7) && wait < Duration::from_secs(9),
            "{wait:?}"
        );
    }

    #[test]
    fn terminal_codes_end_it_and_others_do_not() {
        let closed = |code| {
            comes_back(&Error::Closed(Closed {
                code,
                reason: String::new(),
            }))
        };
        assert!(closed(3001) && closed(1006) && closed(4000));
        assert!(!closed(3500) && !closed(3999) && !closed(4500));
    }
}

//! Passwords: hashing them, which is slow on purpose, without letting it become a weapon.
//!
//! Argon2id as OWASP recommends it (19 MiB, two passes, one lane) takes tens of milliseconds of a
//! core. So only a few run at once and a few wait; whoever comes then is told to come back. Before
//! that, attempts are limited by account and by address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;
use chinwag_protocol::limit::Violation;
use chinwag_runtime::background;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::household::Household;
use crate::throttle::{Rate, Throttle};

/// Shortest password, in bytes.
pub const LEAST_BYTES: usize = 8;
/// Longest password, in bytes.
pub const MOST_BYTES: usize = 128;

/// Attempts at one account: ten at once, then five a minute. Each success is given back.
const BY_ACCOUNT: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(12),
};
/// Attempts from one address (of IPv6, one /64): thirty at once, then twenty a minute.
const BY_ADDRESS: Rate = Rate {
    burst: 30,
    every: Duration::from_secs(3),
};
/// How soon those may come back for whom there was no place in the queue.
const QUEUE_RETRY: Duration = Duration::from_secs(1);

/// Hashes and verifies passwords for a whole process; shared by all its threads.
pub struct Passwords {
    /// Places for those who hash or wait.
    places: Arc<Semaphore>,
    /// Of these, those who hash.
    running: Arc<Semaphore>,
    /// Verified for users that do not exist, so that they take as long as others.
    nobodys: String,
    accounts: Throttle<UserId>,
    addresses: Throttle<Household>,
}

/// A refusal that tells when to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// What the client may know.
    pub refusal: Refusal,
    /// When it may try again.
    pub retry_after: Duration,
}

/// An attempt that was let through.
#[must_use]
pub struct Attempt<'p> {
    passwords: &'p Passwords,
    address: Option<Household>,
    account: Option<UserId>,
}

impl Passwords {
    /// Makes the one that all threads share. Hashes once, for tens of milliseconds.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let parallel = config.hash_parallelism.max(1);
        // Only if the system has no randomness; then nobody can log in at all.
        let nobodys = hashed("nobody's password").unwrap_or_default();
        Self {
            places: Arc::new(Semaphore::new(parallel + config.hash_queue)),
            running: Arc::new(Semaphore::new(parallel)),
            nobodys,
            accounts: Throttle::new(BY_ACCOUNT),
            addresses: Throttle::new(BY_ADDRESS),
        }
    }

    /// Lets an attempt through, or not. The loopback address is nobody's in particular (a proxy's,
    /// an operator's) and is not limited.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub fn admit(
        &self,
        address: Option<IpAddr>,
        account: Option<&UserId>,
    ) -> Result<Attempt<'_>, Limited> {
        if self.places.available_permits() == 0 {
            // Before anything is asked of Redis for somebody who would be sent away.
            return Err(crowded());
        }
        let now = Instant::now();
        let address = address.filter(|ip| !ip.is_loopback()).map(Household::of);
        if let Some(address) = &address {
            let charged = self.addresses.charge(address, now);
            charged.map_err(|wait| throttled(wait, "this address"))?;
        }
        if let Some(account) = account {
            let charged = self.accounts.charge(account, now);
            charged.map_err(|wait| throttled(wait, "this account"))?;
        }
        Ok(Attempt {
            passwords: self,
            address,
            account: account.cloned(),
        })
    }

    /// Hashes a password that somebody has chosen.
    ///
    /// # Errors
    /// `TooManyRequests` if too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Limited> {
        let hash = self.run(move || hashed(&password)).await?;
        hash.ok_or_else(broken)
    }

    /// Whether a password is that of `stored`. Without a `stored` it is not, and finding that out
    /// takes as long.
    ///
    /// # Errors
    /// `TooManyRequests` if too many wait already.
    pub async fn verify(&self, password: String, stored: Option<&str>) -> Result<bool, Limited> {
        let hash = stored.unwrap_or(&self.nobodys).to_owned();
        let same = self.run(move || is_of(&password, &hash)).await?;
        Ok(same && stored.is_some())
    }

    /// Runs `work` behind everything else, when its turn has come: a flood of logins takes only
    /// what chatting leaves of the processors.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Limited> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| crowded())?;
        let waiting = Waiting::new();
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| broken())?;
        drop(waiting);
        // The permits go along: whoever hung up leaves work behind that still counts.
        let done = background::run("password", move || {
            let _held = (place, turn);
            work()
        });
        done.map_err(|_| broken())?.await.map_err(|_| broken())
    }
}

impl Attempt<'_> {
    /// Gives back what a successful attempt took: only failures count against anybody.
    pub fn succeeded(self) {
        if let Some(address) = &self.address {
            self.passwords.addresses.give_back(address);
        }
        if let Some(account) = &self.account {
            self.passwords.accounts.give_back(account);
        }
    }
}

/// Checks a password that somebody chooses.
///
/// # Errors
/// Names `field` and the limits.
pub fn check(field: &'static str, password: &str) -> Result<(), Violation> {
    let got = password.len();
    if (LEAST_BYTES..=MOST_BYTES).contains(&got) {
        return Ok(());
    }
    let problem = format!("must be {LEAST_BYTES} to {MOST_BYTES} bytes, got {got}");
    Err(Violation::new(field, problem))
}

/// A PHC string for a password; `None` if the system has no randomness or memory.
fn hashed(password: &str) -> Option<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    let hash = hash.inspect_err(|error| tracing::error!(%error, "a password cannot be hashed"));
    hash.ok().map(|hash| hash.to_string())
}

fn is_of(password: &str, stored: &str) -> bool {
    let parsed = PasswordHash::new(stored);
    let parsed = parsed.inspect_err(|error| tracing::error!(%error, "a stored hash is none"));
    parsed.is_ok_and(|hash| {
        let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
        verified.is_ok()
    })
}

/// One who waits to hash, for as long as it lives.
struct Waiting;

impl Waiting {
    fn new() -> Self {
        metrics::gauge!("chinwag_gateway_password_queue_depth").increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("chinwag_gateway_password_queue_depth").decrement(1.0);
    }
}

fn throttled(retry_after: Duration, what: &str) -> Limited {
    refused("login_rate");
    let message = format!("too many attempts for {what}; try again later");
    Limited {
        refusal: Refusal::new(Code::TooManyRequests, message),
        retry_after,
    }
}

fn crowded() -> Limited {
    refused("password_queue");
    let message = "too many are logging in just now; try again";
    Limited {
        refusal: Refusal::new(Code::TooManyRequests, message),
        retry_after: QUEUE_RETRY,
    }
}

fn refused(reason: &'static str) {
    metrics::counter!("chinwag_gateway_refusals_total", "reason" => reason).increment(1);
}

fn broken() -> Limited {
    Limited {
        refusal: Refusal::new(Code::Internal, "internal error"),
        retry_after: QUEUE_RETRY,
    }
}

#[cfg(test)]
mod tests;

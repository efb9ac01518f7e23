//! A few sessions, lent one by one.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Config;

use super::session::Session;
use crate::error::{Error, Result};

/// The most connections of one process. A server's limit (100 unless changed) is shared by all
/// gateways and archivers.
pub(super) const SESSIONS: usize = 4;

/// How long a call waits for a session before it is told that there is none.
const WAITING: Duration = Duration::from_secs(10);

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Lends sessions. After a failed attempt to connect nobody tries again for a while, and whoever
/// comes meanwhile is told at once.
pub(super) struct Pool {
    config: Config,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last returned is lent first, so that what is not needed grows old at the bottom.
    idle: Vec<Session>,
    failures: u32,
    /// No attempt to connect before then, and why the last one failed.
    closed_until: Option<(Instant, String)>,
}

impl Pool {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            permits: Semaphore::new(SESSIONS),
            state: Mutex::default(),
        }
    }

    /// A session, from the pool or new.
    pub async fn lend(&self) -> Result<Lent<'_>> {
        let permit = tokio::time::timeout(WAITING, self.permits.acquire()).await;
        let Ok(Ok(permit)) = permit else {
            let text = format!("PostgreSQL: all {SESSIONS} connections busy for 10 s");
            return Err(Error::Unavailable(text));
        };
        let session = match self.idle()? {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Lent {
            session: Some(session),
            pool: self,
            _permit: permit,
        })
    }

    fn idle(&self) -> Result<Option<Session>> {
        let mut state = self.state();
        while let Some(session) = state.idle.pop() {
            if !session.client.is_closed() {
                return Ok(Some(session));
            }
        }
        match &state.closed_until {
            Some((until, reason)) if Instant::now() < *until => {
                Err(Error::Unavailable(format!("{reason} (tried a moment ago)")))
            }
            _ => Ok(None),
        }
    }

    async fn connect(&self) -> Result<Session> {
        let opened = Session::open(&self.config).await;
        let mut state = self.state();
        match &opened {
            Ok(_) => {
                (state.failures, state.closed_until) = (0, None);
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                let until = Instant::now() + pause(state.failures);
                state.closed_until = Some((until, reason(error)));
            }
        }
        opened
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(error: &Error) -> String {
    match error {
        Error::Unavailable(reason) | Error::Refused(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// How long to leave the server alone after so many failures in a row: doubling, with up to half
/// taken off by chance so that many processes do not come back at once.
fn pause(failures: u32) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let whole = doubled.min(LONGEST);
    let chance = u32::try_from(RandomState::new().hash_one(failures) % 1000).unwrap_or(0);
    whole - whole / 2 * chance / 1000
}

/// A session on loan. It goes back when dropped, unless it failed.
pub(super) struct Lent<'p> {
    session: Option<Session>,
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Lent<'_> {
    /// Ends the loan with the outcome of what it was for. After a temporary failure the session
    /// is not used again: a new one may reach another server.
    pub fn settle<T>(mut self, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(Error::is_temporary) {
            self.session = None;
        }
        outcome
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(session) = self
            .session
            .take()
            .filter(|session| !session.client.is_closed())
        {
            self.pool.state().idle.push(session);
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Session;

    #[expect(
        clippy::expect_used,
        reason = "only settle and drop take it, and both end the loan"
    )]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a loan has its session")
    }
}

impl DerefMut for Lent<'_> {
    #[expect(
        clippy::expect_used,
        reason = "only settle and drop take it, and both end the loan"
    )]
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a loan has its session")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_never_short() {
        for failures in 1..100 {
            let pause = pause(failures);
            assert!(
                pause <= LONGEST && pause >= SHORTEST / 2,
                "{failures}: {pause:?}"
            );
        }
        assert!(pause(1) <= SHORTEST && pause(100) >= LONGEST / 2);
    }
}

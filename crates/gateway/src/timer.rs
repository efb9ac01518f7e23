//! A connection's times: when it must have said who it is, when it is pinged, when it must have
//! answered. One sleep serves them all.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::Config;

/// How long after a peer was slow a ping may be on its way behind what it takes slowly.
const SLOW_FOR: Duration = Duration::from_secs(300);

/// What has come due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// It never said who it is.
    Connect,
    /// It is time to ping.
    Ping,
    /// Nothing was heard since the last ping.
    Pong,
    /// Something waits for it, and it has taken nothing of it for too long.
    Stalled,
}

/// The times of one connection.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    connect_by: Option<Instant>,
    ping_at: Instant,
    pong_by: Option<Instant>,
    ping_interval: Duration,
    pong_timeout: Duration,
    /// While it takes less than there is: what it had taken, and by when it must have taken more.
    pressed: Option<(u64, Instant)>,
    /// Until when there may be much on the way to it before a ping.
    slow_until: Instant,
    stalled: Duration,
}

impl Timer {
    /// Times from now on. `number` spreads the pings of many connections.
    pub(crate) fn new(config: &Config, number: u64) -> Self {
        let now = Instant::now();
        let connect_by = now + config.connect_timeout;
        let spread = u32::try_from(number % 16).unwrap_or(0);
        Self {
            sleep: Box::pin(tokio::time::sleep_until(connect_by)),
            connect_by: Some(connect_by),
            ping_at: now + config.ping_interval * (16 + spread) / 32,
            pong_by: None,
            ping_interval: config.ping_interval,
            pong_timeout: config.pong_timeout,
            pressed: None,
            slow_until: now,
            stalled: config.stalled,
        }
    }

    /// It has said who it is.
    pub(crate) fn connected(&mut self) {
        self.connect_by = None;
    }

    /// Something was heard, which is as good as a pong.
    pub(crate) fn heard(&mut self) {
        self.pong_by = None;
    }

    /// It has taken this much so far, and does not take what waits for it now.
    pub(crate) fn pressed(&mut self, taken: u64) {
        let by = Instant::now() + self.stalled;
        self.pressed.get_or_insert((taken, by));
    }

    /// It has taken what waited for it, as far as can be seen from here: buffers on the way hold
    /// more, so a ping may take longer for a while.
    pub(crate) fn relieved(&mut self) {
        if self.pressed.take().is_some() {
            let now = Instant::now();
            self.slow_until = now + SLOW_FOR;
            self.pong_by = self.pong_by.map(|by| by.max(now + self.slow_pong()));
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    fn slow_pong(&self) -> Duration {
        self.pong_timeout.max(2 * self.stalled)
    }

    /// Waits until something is due.
    pub(crate) async fn due(&mut self) {
        let next = self.next();
        if self.sleep.deadline() != next {
            self.sleep.as_mut().reset(next);
        }
        self.sleep.as_mut().await;
    }

    fn next(&self) -> Instant {
        // Before `connect` there is nothing to ping.
        let first = self.connect_by.unwrap_or(self.ping_at);
        let first = self.pong_by.map_or(first, |pong_by| first.min(pong_by));
        self.pressed.map_or(first, |(_, by)| first.min(by))
    }

    /// What is due now, if anything; a ping that is due counts as sent. `taken` is how much the
    /// peer has taken so far.
    pub(crate) fn what_is_due(&mut self, taken: u64) -> Option<Due> {
        let now = Instant::now();
        if let Some((before, by)) = &mut self.pressed
            && *by <= now
        {
            if taken == *before {
                return Some(Due::Stalled);
            }
            (*before, *by) = (taken, now + self.stalled);
        }
        if self.connect_by.is_some_and(|at| at <= now) {
            return Some(Due::Connect);
        }
        if self.pong_by.is_some_and(|at| at <= now) {
            if !self.is_pressed() {
                return Some(Due::Pong);
            }
            // What it takes is the sign of life.
            self.pong_by = None;
        }
        if self.connect_by.is_none() && self.ping_at <= now {
            self.ping_at = now + self.ping_interval;
            let timeout = match now < self.slow_until {
                true => self.slow_pong(),
                false => self.pong_timeout,
            };
            self.pong_by = (!self.is_pressed()).then_some(now + timeout);
            return Some(Due::Ping);
        }
        None
    }
}

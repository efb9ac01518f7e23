//! A connection's times: when it must have said who it is, when it is pinged, when it must have
//! answered. One sleep serves them all.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::Config;

/// What has come due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// It never said who it is.
    Connect,
    /// It is time to ping.
    Ping,
    /// Nothing was heard since the last ping.
    Pong,
}

/// The times of one connection.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    connect_by: Option<Instant>,
    ping_at: Instant,
    pong_by: Option<Instant>,
    ping_interval: Duration,
    pong_timeout: Duration,
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
        self.pong_by.map_or(first, |pong_by| first.min(pong_by))
    }

    /// What is due now, if anything; a ping that is due counts as sent.
    pub(crate) fn what_is_due(&mut self) -> Option<Due> {
        let now = Instant::now();
        if self.connect_by.is_some_and(|at| at <= now) {
            return Some(Due::Connect);
        }
        if self.pong_by.is_some_and(|at| at <= now) {
            return Some(Due::Pong);
        }
        if self.connect_by.is_none() && self.ping_at <= now {
            self.ping_at = now + self.ping_interval;
            self.pong_by = Some(now + self.pong_timeout);
            return Some(Due::Ping);
        }
        None
    }
}

//! How often one user may ask, through whatever connections.

use std::time::{Duration, Instant};

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::UserId;

use super::failure::Failure;
use crate::config::Config;
use crate::password::Limited;
use crate::throttle::{Rate, Throttle};

/// How many seconds' worth of requests may come at once, as on a socket.
const BURST_SECONDS: u32 = 2;

/// Counts requests by user; shared by all threads.
pub struct Visits {
    per_second: u32,
    users: Throttle<UserId>,
}

impl Visits {
    /// As many as commands on one socket.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let per_second = config.commands_per_second;
        let rate = Rate {
            burst: per_second.saturating_mul(BURST_SECONDS),
            every: Duration::from_secs(1) / per_second.max(1),
        };
        Self {
            per_second,
            users: Throttle::new(rate),
        }
    }

    /// Counts a request.
    pub(crate) fn admit(&self, user: &UserId) -> Result<(), Failure> {
        if self.per_second == 0 {
            return Ok(());
        }
        let charged = self.users.charge(user, Instant::now());
        charged.map_err(|retry_after| {
            metrics::counter!("chinwag_gateway_refusals_total", "reason" => "request_rate")
                .increment(1);
            let message = format!("at most {} requests of a user a second", self.per_second);
            let refusal = Refusal::new(Code::TooManyRequests, message);
            Limited {
                refusal,
                retry_after,
            }
            .into()
        })
    }
}

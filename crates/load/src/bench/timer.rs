//! Waking up on time: a poll's own timeout is in whole milliseconds, which would be seen in every
//! latency.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// A timer that a poll waits for.
pub(crate) struct Timer(OwnedFd);

impl Timer {
    /// One that wakes a poll under this token.
    pub fn new(registry: &Registry, token: Token) -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context("make a timer")?;
        let mut source = SourceFd(&timer.as_raw_fd());
        registry.register(&mut source, token, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Wakes the poll after so long. What was set before is forgotten, and so is that it rang.
    pub fn set(&self, after: Duration) -> Result<()> {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // Nothing at all would switch it off.
        let after = after.max(Duration::from_nanos(1));
        let value = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(after.as_secs())?,
                tv_nsec: i64::from(after.subsec_nanos()),
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &value).context("set a timer")?;
        Ok(())
    }
}

//! The handle through which everything in Redis is reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::check;
use crate::connect::{Config, Link};
use crate::error::{Error, Result};
use crate::keys::{DEPLOYMENT, Keys};
use crate::value::{self, Fields};

/// How long a client message id is remembered at least, in seconds; twice this at most.
pub(crate) const DEDUPE_BUCKET_SECONDS: u64 = 12 * 3600;

/// Version of the layout of keys. Another one refuses to start.
const LAYOUT: &str = "1";

/// Redis, as chinwag sees it. Clones share one pipelined connection.
#[derive(Clone)]
pub struct Store {
    pub(crate) link: Link,
    pub(crate) keys: Arc<Keys>,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<Clock>,
}

/// What the server's clock is ahead of ours, in milliseconds. Only ever a hint: functions check.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// The server's time as far as known here, in milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let local = i64::try_from(local_milliseconds()).unwrap_or(i64::MAX);
        u64::try_from(local.saturating_add(self.ahead.load(Ordering::Relaxed))).unwrap_or(0)
    }

    pub(crate) fn learn(&self, server: u64) {
        let local = i64::try_from(local_milliseconds()).unwrap_or(i64::MAX);
        let server = i64::try_from(server).unwrap_or(i64::MAX);
        self.ahead
            .store(server.saturating_sub(local), Ordering::Relaxed);
    }
}

fn local_milliseconds() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// Connects, checks that the server is fit (see [`check`]), makes or verifies the deployment,
    /// and loads the functions.
    ///
    /// # Errors
    /// `Unavailable` if Redis cannot be reached or is loading; `Refused` with what to do if it is
    /// not fit or holds another deployment.
    pub async fn connect(config: Config) -> Result<Self> {
        let link = Link::new(config.client()?, config.connection(), "commands");
        check::fit(&link).await?;
        let partitions = deployment(&link, config.partitions).await?;
        link.load_if_missing().await?;
        let keys = Arc::new(Keys::new(partitions));
        let store = Self {
            link,
            keys,
            config: Arc::new(config),
            clock: Arc::default(),
        };
        store.time().await?;
        Ok(store)
    }

    /// The same store through a connection of its own, driven by the calling runtime. A gateway
    /// thread has one, so that its commands need no other thread.
    ///
    /// # Errors
    /// `Unavailable` if the address is not valid.
    pub fn another(&self) -> Result<Self> {
        let link = Link::new(self.config.client()?, self.config.connection(), "commands");
        Ok(Self {
            link,
            ..self.clone()
        })
    }

    /// The spelling of keys, and so which partition owns what.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The server's clock as far as known here, in milliseconds since 1970. Good for showing and
    /// for choosing what to ask; functions use the real one.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Asks the server for its time, in milliseconds since 1970. Also the cheapest sign of life.
    ///
    /// # Errors
    /// `Unavailable` if there is none.
    pub async fn time(&self) -> Result<u64> {
        let answer = self.link.query("time", &redis::cmd("TIME")).await?;
        let mut fields = Fields::of("time", answer)?;
        let time = fields.number()? * 1000 + fields.number()? / 1000;
        self.clock.learn(time);
        Ok(time)
    }

    /// What the server says of its memory and clients.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn server_usage(&self) -> Result<check::Usage> {
        check::usage(&self.link).await
    }
}

/// Fixes the count of partitions at first start; ever after, finds it and compares. That writes
/// nothing, so that whoever empties a full server can start.
async fn deployment(link: &Link, wanted: u16) -> Result<u16> {
    let mut read = redis::cmd("HMGET");
    read.arg(DEPLOYMENT).arg("partitions").arg("layout");
    let mut stored = Fields::of("deployment", link.query("deployment", &read).await?)?;
    let (mut partitions, mut layout) = (stored.value()?, stored.value()?);
    if [&partitions, &layout].contains(&&redis::Value::Nil) {
        let mut write = redis::pipe();
        write.cmd("HSETNX").arg(DEPLOYMENT).arg("partitions");
        write.arg(wanted);
        write
            .cmd("HSETNX")
            .arg(DEPLOYMENT)
            .arg("layout")
            .arg(LAYOUT);
        link.pipeline("deployment", &write).await?;
        let mut stored = Fields::of("deployment", link.query("deployment", &read).await?)?;
        (partitions, layout) = (stored.value()?, stored.value()?);
    }
    let partitions = value::number("deployment", &partitions)?;
    let layout = value::text("deployment", layout)?;
    let refused = |problem: String| Error::Refused {
        command: "start",
        problem,
    };
    if layout != LAYOUT {
        return Err(refused(format!(
            "this Redis holds a deployment of layout {layout}, this program writes {LAYOUT}"
        )));
    }
    if partitions != u64::from(wanted) {
        return Err(refused(format!(
            "this Redis holds a deployment of {partitions} partitions, redis.partitions is {wanted}; \
             the count is fixed at first start: set redis.partitions = {partitions}"
        )));
    }
    Ok(wanted)
}

//! The handle through which everything in Redis is reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chinwag_protocol::id::RoomId;

use crate::check;
use crate::connect::Config;
use crate::deployment;
use crate::error::Result;
use crate::keys::Keys;
use crate::route::Aim;
use crate::router::Router;
use crate::topology::Address;
use crate::value::Fields;

/// How long a client message id is remembered at least, in seconds; twice this at most.
pub(crate) const DEDUPE_BUCKET_SECONDS: u64 = 12 * 3600;

/// Redis, as chinwag sees it. Clones share one pipelined connection to each server.
#[derive(Clone)]
pub struct Store {
    pub(crate) link: Router,
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
        let link = Router::new(&config)?;
        check::fit(&link).await?;
        let partitions = deployment::settle(&link, config.partitions).await?;
        link.load().await?;
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

    /// The same store through connections of its own, driven by the calling runtime. A gateway
    /// thread has them, so that its commands need no other thread. Which server is the primary of
    /// what is known to all handles as soon as one has learnt it.
    ///
    /// # Errors
    /// None now; that is for callers to know when there are.
    pub fn another(&self) -> Result<Self> {
        Ok(Self {
            link: self.link.another(),
            ..self.clone()
        })
    }

    /// The spelling of keys, and so which partition owns what.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Rooms in groups of at most `most`, each of one server's: what fails for one of a group fails
    /// for all, and for nobody else.
    #[must_use]
    pub fn together(&self, rooms: &[RoomId], most: usize) -> Vec<Vec<RoomId>> {
        let map = self.link.placement().map();
        let mut groups: BTreeMap<Option<&Address>, Vec<RoomId>> = BTreeMap::new();
        for room in rooms {
            let aim = Aim::at(self.keys.channel(room).as_bytes());
            groups.entry(map.owner(aim)).or_default().push(room.clone());
        }
        let groups = groups.values().flat_map(|rooms| rooms.chunks(most.max(1)));
        groups.map(<[RoomId]>::to_vec).collect()
    }

    /// The server's clock as far as known here, in milliseconds since 1970. Good for showing and
    /// for choosing what to ask; functions use the real one.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Asks the server for its time, in milliseconds since 1970. Also the cheapest sign of life:
    /// every five seconds it also asks sentinels or the cluster whether they still mean the same
    /// servers, so that a primary that was cut off from them is left although it answers.
    ///
    /// # Errors
    /// `Unavailable` if there is none.
    pub async fn time(&self) -> Result<u64> {
        self.link.placement().check().await;
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

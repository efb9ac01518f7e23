//! The parts that one process is made of, from building to draining them.

use std::net::SocketAddr;
use std::time::Duration;

use chinwag_runtime::Context;
use tokio::net::TcpListener;

use crate::connect;
use crate::ending::Ending;
use crate::folder::{self, Lock};
use crate::private_redis::{self, STOP_DEADLINE};
use crate::redis_watch;
use crate::settings::{Role, Settings};

/// A worker only finishes its batch.
const WORKER_DEADLINE: Duration = Duration::from_secs(10);
/// What comes on top of the time for closing connections before the gateway counts as hanging.
const GATEWAY_GRACE: Duration = Duration::from_secs(5);

/// Everything that runs, in the order in which it must end: whoever takes messages before whoever
/// works on them, and Redis last.
pub struct Parts {
    gateway: Option<(Context, SocketAddr)>,
    workers: Vec<Context>,
    watch: Context,
    redis: Option<Context>,
    _lock: Option<Lock>,
}

impl Parts {
    /// Builds what the role needs, and starts it.
    ///
    /// # Errors
    /// When something that it needs cannot be used.
    pub async fn build(settings: &Settings, context: &Context) -> Result<Self, Ending> {
        let role = settings.role;
        // Bound first, so that a port in use is known at once; clients wait until all is ready.
        let listener = match role {
            Role::Up | Role::Gateway => Some(listen(settings).await?),
            _ => None,
        };
        folder::make(&settings.data)?;
        let lock = (role == Role::Up)
            .then(|| Lock::take(&settings.data))
            .transpose()?;
        let (redis, url) = match &settings.redis_url {
            Some(url) => (None, url.clone()),
            None => private(settings, context).await?,
        };
        let mut parts = Self {
            gateway: None,
            workers: Vec::new(),
            watch: context.role("watch"),
            redis,
            _lock: lock,
        };
        match parts.start(settings, context, &url, listener).await {
            Ok(()) => Ok(parts),
            Err(ending) => {
                // What was started already must not outlive the attempt.
                parts.drain(settings).await;
                Err(ending)
            }
        }
    }

    async fn start(
        &mut self,
        settings: &Settings,
        context: &Context,
        url: &str,
        listener: Option<TcpListener>,
    ) -> Result<(), Ending> {
        let store = connect::store(settings, url).await?;
        redis_watch::start(&self.watch, store.another().map_err(Ending::Redis)?);
        let needs_archive = matches!(settings.role, Role::Up | Role::Gateway | Role::Archiver);
        let archive = if needs_archive {
            Some(connect::archive(settings).await?)
        } else {
            None
        };
        drop((context.role("gateway"), archive, listener));
        Ok(())
    }

    /// Where clients connect, if they do.
    pub fn address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(|(_, address)| *address)
    }

    /// Stops everything in order; returns the names of what did not end in time.
    pub async fn drain(&self, settings: &Settings) -> Vec<String> {
        let mut stragglers = Vec::new();
        if let Some((gateway, _)) = &self.gateway {
            stragglers.extend(gateway.drain(settings.drain + GATEWAY_GRACE).await);
        }
        self.workers.iter().for_each(Context::stop);
        for worker in &self.workers {
            stragglers.extend(worker.drain(WORKER_DEADLINE).await);
        }
        stragglers.extend(self.watch.drain(WORKER_DEADLINE).await);
        if let Some(redis) = &self.redis {
            stragglers.extend(redis.drain(STOP_DEADLINE * 2).await);
        }
        stragglers.iter().map(ToString::to_string).collect()
    }
}

async fn listen(settings: &Settings) -> Result<TcpListener, Ending> {
    let (key, address) = ("gateway.listen", settings.listen);
    TcpListener::bind(address)
        .await
        .map_err(|error| Ending::Listen {
            key,
            address,
            error,
        })
}

async fn private(
    settings: &Settings,
    context: &Context,
) -> Result<(Option<Context>, String), Ending> {
    let redis = context.role("redis");
    let options = private_redis::Options {
        data: settings.data.clone(),
        program: settings.redis_program.clone(),
        fsync: settings.redis_fsync.clone(),
    };
    let url = private_redis::start(&redis, options).await?;
    Ok((Some(redis), url))
}

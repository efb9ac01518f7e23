//! The parts that one process is made of, from building to draining them.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use chinwag_runtime::Context;

use crate::connect;
use crate::ending::Ending;
use crate::folder::{self, Lock};
use crate::private_redis::{self, STOP_DEADLINE};
use crate::redis_watch;
use crate::settings::{Role, Settings};
use crate::wire;

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
        let archive = match settings.role {
            Role::Up | Role::Gateway | Role::Archiver => Some(connect::archive(settings).await?),
            Role::Fanout | Role::Presence => None,
        };
        if let (Some(listener), Some(archive)) = (listener, &archive) {
            let address = listener
                .local_addr()
                .map_err(|error| unlistenable(settings, error))?;
            let gateway = context.role("gateway");
            let config = wire::gateway(settings)?;
            let (store, archive) = (store.clone(), Arc::clone(archive));
            let run = chinwag_gateway::run(config, store, archive, listener, gateway.clone());
            launch(&gateway, "listener", run);
            self.gateway = Some((gateway, address));
        }
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

/// Runs a part as a task of its own context. That it ends before it is asked to fails the process.
///
/// `latch` is the name of the last part of its health to become ready. It is made here, so that
/// the process does not count as ready before the part has even begun.
fn launch<E: Display>(
    context: &Context,
    latch: &str,
    run: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    drop(context.part(latch));
    let inside = context.clone();
    context.spawn("run", async move {
        match run.await {
            Err(error) => inside.fail(error.to_string()),
            Ok(()) if !inside.is_stopping() => inside.fail("ended by itself"),
            Ok(()) => {}
        }
    });
}

/// Tokio's listener has a backlog of 1024, the standard library's one of 128.
async fn listen(settings: &Settings) -> Result<TcpListener, Ending> {
    let listener = tokio::net::TcpListener::bind(settings.listen).await;
    let listener = listener.and_then(tokio::net::TcpListener::into_std);
    listener.map_err(|error| unlistenable(settings, error))
}

fn unlistenable(settings: &Settings, error: io::Error) -> Ending {
    Ending::Listen {
        key: "gateway.listen",
        address: settings.listen,
        error,
    }
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

//! The parts that one process is made of, from building to draining them.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::Archive;
use chinwag_runtime::Context;
use chinwag_store::Store;

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
pub struct Parts<'a> {
    settings: &'a Settings,
    gateway: Context,
    address: Option<SocketAddr>,
    workers: Vec<Context>,
    watch: Context,
    redis: Context,
    process: Context,
    lock: Option<Lock>,
}

impl<'a> Parts<'a> {
    /// Nothing yet.
    pub fn new(settings: &'a Settings, process: &Context) -> Self {
        Self {
            settings,
            gateway: process.role("gateway"),
            address: None,
            workers: Vec::new(),
            watch: process.role("watch"),
            redis: process.role("redis"),
            process: process.clone(),
            lock: None,
        }
    }

    /// Builds and starts what the role needs. Whether this fails or is dropped midway, what was
    /// started is there to be drained.
    ///
    /// # Errors
    /// When something that it needs cannot be used.
    pub async fn start(&mut self) -> Result<(), Ending> {
        let settings = self.settings;
        // Bound first, so that a port in use is known at once; clients wait until all is ready.
        let listener = match settings.role {
            Role::Up | Role::Gateway => Some(listen(settings).await?),
            Role::Fanout | Role::Presence | Role::Archiver => None,
        };
        if settings.role == Role::Up {
            folder::make(&settings.data)?;
            self.lock = Some(Lock::take(&settings.data)?);
        }
        let url = match &settings.redis_url {
            Some(url) => url.clone(),
            None => private_redis::start(&self.redis, settings.into()).await?,
        };
        let store = connect::store(settings, &url).await?;
        redis_watch::start(&self.watch, store.another().map_err(Ending::Redis)?);
        let archive = match settings.role {
            Role::Up | Role::Gateway | Role::Archiver => Some(connect::archive(settings).await?),
            Role::Fanout | Role::Presence => None,
        };
        if let Some(archive) = &archive {
            connect::acquaint(&store, &**archive).await?;
        }
        if let (Some(listener), Some(archive)) = (listener, &archive) {
            self.gateway(listener, store.clone(), Arc::clone(archive))?;
        }
        self.workers(&store, archive);
        Ok(())
    }

    /// Starts the workers of the role, each with its settings and a context of its own.
    fn workers(&mut self, store: &Store, archive: Option<Arc<dyn Archive>>) {
        let (role, keys) = (self.settings.role, self.settings.keys());
        if let Role::Up | Role::Fanout = role {
            let (config, context) = (wire::fanout(keys), self.worker("fanout"));
            let run = chinwag_fanout::run(config, store.clone(), context.clone());
            launch(&context, "log", run);
        }
        if let Role::Up | Role::Presence = role {
            let (config, context) = (wire::presence(keys), self.worker("presence"));
            let run = chinwag_presence::run(config, store.clone(), context.clone());
            launch(&context, "ownership", run);
        }
        if let (Role::Up | Role::Archiver, Some(archive)) = (role, archive) {
            let (config, context) = (wire::archiver(keys), self.worker("archiver"));
            let run = chinwag_archiver::run(config, store.clone(), archive, context.clone());
            launch(&context, "log", run);
        }
    }

    fn worker(&mut self, role: &'static str) -> Context {
        let context = self.process.role(role);
        self.workers.push(context.clone());
        context
    }

    fn gateway(
        &mut self,
        listener: TcpListener,
        store: Store,
        archive: Arc<dyn Archive>,
    ) -> Result<(), Ending> {
        let address = listener.local_addr();
        self.address = Some(address.map_err(|error| unlistenable(self.settings, error))?);
        let (config, context) = (wire::gateway(self.settings)?, self.gateway.clone());
        let run = chinwag_gateway::run(config, store, archive, listener, context);
        launch(&self.gateway, "listener", run);
        Ok(())
    }

    /// Where clients connect, if they do.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Stops everything in order; returns the names of what did not end in time.
    pub async fn drain(&self) -> Vec<String> {
        let health = self.process.health();
        if self.address.is_some() {
            health.stage("connections");
        }
        let mut stragglers = self
            .gateway
            .drain(self.settings.drain + GATEWAY_GRACE)
            .await;
        if !self.workers.is_empty() {
            health.stage("workers");
        }
        self.workers.iter().for_each(Context::stop);
        for worker in &self.workers {
            stragglers.extend(worker.drain(WORKER_DEADLINE).await);
        }
        stragglers.extend(self.watch.drain(WORKER_DEADLINE).await);
        health.stage("redis");
        stragglers.extend(self.redis.drain(STOP_DEADLINE * 2).await);
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

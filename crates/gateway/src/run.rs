//! A gateway from start to drain.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chinwag_archive::Archive;
use chinwag_protocol::code::Close;
use chinwag_runtime::Context;
use chinwag_store::Store;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::config::Config;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::inlet::{Inlet, SHARD_QUEUE, ShardEvent, Wishes};
use crate::name::Name;
use crate::orders::Orders;
use crate::password::Passwords;
use crate::shard::Shard;
use crate::{http, listener};

/// Why a gateway cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The operating system refuses threads or sockets.
    #[error("start the gateway: {0}")]
    System(#[from] std::io::Error),
    /// Redis cannot be reached by the address given.
    #[error("start the gateway: {0}")]
    Store(#[from] chinwag_store::Error),
}

/// Serves clients on `listener` until the context stops, then lets them go.
///
/// # Errors
/// Only before it serves; later failures are weather.
pub async fn run(
    config: Config,
    store: Store,
    archive: Arc<dyn Archive>,
    listener: TcpListener,
    context: Context,
) -> Result<(), StartError> {
    listener.set_nonblocking(true)?;
    let threads = config.threads.max(1);
    let passwords = Arc::new(Passwords::new(&config));
    let visits = Arc::new(http::Visits::new(&config));
    let (gate, lease, drain) = (Gate::new(&config), config.lease, config.drain);
    let config = Arc::new(config);
    let new = |store| {
        let (archive, config) = (Arc::clone(&archive), Arc::clone(&config));
        Backend::new(store, archive, config, context.clone())
    };
    let first = new(store.another()?);
    let backend = |store| new(store).with_past_of(&first);
    let (pressure, asking) = (Arc::clone(&first.pressure), store.another()?);
    let (percent, stops) = (config.full_percent, context.clone());
    context.spawn("memory of Redis", async move {
        pressure.watch(&asking, percent, &stops).await;
    });
    let (keeper, identity) = Name::new(store.another()?, &context, lease, threads);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads)
        .map(|_| mpsc::channel::<ShardEvent>(SHARD_QUEUE))
        .unzip();
    let orders = Arc::new(Orders::default());
    let (inlet, wishes) = Inlet::new(
        backend(store.another()?),
        &context,
        senders.clone(),
        identity.clone(),
        Arc::clone(&orders),
    );
    let reading = orders.read(store.another()?, context.clone(), senders.clone());
    context.spawn("orders", reading);
    let inlet = context.spawn("inlet", inlet.run());
    // Kept until the last connection is gone: sessions that end are still this gateway's.
    let gone = async move {
        for sender in &senders {
            sender.closed().await;
        }
    };
    let keeper = context.spawn("lease", keeper.keep(gone));
    for (index, events) in receivers.into_iter().enumerate() {
        let backend = backend(store.another()?);
        let router = http::router(backend.clone(), Arc::clone(&passwords), Arc::clone(&visits));
        let thread = Thread {
            index,
            backend,
            context: context.clone(),
            gate: Arc::clone(&gate),
            wishes: wishes.clone(),
            identity: identity.clone(),
            listener: listener.try_clone()?,
            router,
            drain,
        };
        context.spawn_thread(format!("gateway-{index}"), move || thread.run(events))?;
    }
    // The threads have their own: when they stop accepting, nobody does, and a proxy that tries is
    // refused at once and asks another gateway, instead of waiting in this one's backlog.
    drop(listener);
    context.part("listener").ready();
    drop(inlet.await);
    drop(keeper.await);
    Ok(())
}

/// What one thread is made of.
struct Thread {
    index: usize,
    backend: Backend,
    context: Context,
    gate: Arc<Gate>,
    wishes: Wishes,
    identity: Identity,
    listener: TcpListener,
    router: Router,
    drain: Duration,
}

impl Thread {
    async fn run(self, events: mpsc::Receiver<ShardEvent>) {
        let Self {
            index,
            backend,
            context,
            gate,
            wishes,
            identity,
            listener,
            router,
            drain,
        } = self;
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return context.fail(format!("cannot listen: {error}")),
        };
        let shard = Shard::new(index, backend, context.clone(), gate, identity);
        let handles = [
            tokio::task::spawn_local(std::rc::Rc::clone(&shard).pass_wishes(wishes)),
            tokio::task::spawn_local(std::rc::Rc::clone(&shard).run(events)),
        ];
        listener::run(std::rc::Rc::clone(&shard), listener, router).await;
        let _left = tokio::time::timeout(drain, let_go(&shard, drain)).await;
        for handle in handles {
            handle.abort();
        }
    }
}

/// Closes the thread's connections at a pace, and waits until they are gone.
async fn let_go(shard: &Shard, within: Duration) {
    let connections = shard.all();
    let (thread, count) = (shard.index, connections.len());
    tracing::info!(thread, count, "letting connections go");
    let began = Instant::now();
    // One after the other, so that they do not all come back in one moment. The other half of the
    // time is for those who are slow to go.
    let pace = within / 2 / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let mut due = began;
    for connection in &connections {
        connection.close(Close::Shutdown);
        due += pace;
        tokio::time::sleep_until(due).await;
    }
    tracing::info!(thread, "waiting for the last answers");
    while shard.is_busy() {
        // Some came while the others went.
        shard
            .all()
            .iter()
            .for_each(|connection| connection.close(Close::Shutdown));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

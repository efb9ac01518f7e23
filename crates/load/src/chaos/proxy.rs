//! A TCP proxy that behaves as badly as it is told to, towards whom it is told to.
//!
//! One stands before each Redis server, and one before each gateway. It knows which process each
//! connection belongs to, so that the link of one process can be bad while those of all others,
//! through the same proxy, are good.

mod frames;
mod owner;
mod pump;
pub(crate) mod toxics;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::chaos::process::Names;
use owner::Owners;
use toxics::Toxics;

/// Where connections go: to the first of these that is well.
pub(crate) type Targets = Arc<dyn Fn() -> Vec<u16> + Send + Sync>;

/// What goes wrong, by the name of whoever connects.
#[derive(Debug, Default)]
struct Rules {
    by_name: HashMap<Arc<str>, watch::Sender<Toxics>>,
}

/// A listening proxy. It ends with this value, and its connections with it.
pub(crate) struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    port: u16,
    targets: Targets,
    names: Names,
    owners: Owners,
    rules: Mutex<Rules>,
}

/// Who connects if it is no process of ours.
const STRANGER: &str = "client";

impl Proxy {
    /// Listens on a port of the loopback.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(port: u16, targets: Targets, names: &Names) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("listen on {port}"))?;
        let shared = Arc::new(Shared {
            port,
            targets,
            names: names.clone(),
            owners: Owners::new(names),
            rules: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            port,
            shared,
            _tasks: tasks,
        })
    }

    /// What goes wrong from now on for those whose name begins so. An empty beginning is everybody.
    pub fn set(&self, whose: &str, change: impl Fn(&mut Toxics)) {
        for (_, name) in self.shared.names.all() {
            self.shared.toxics(&name);
        }
        self.shared.toxics(&STRANGER.into());
        let rules = self.shared.rules();
        for (name, toxics) in &rules.by_name {
            if name.starts_with(whose) {
                toxics.send_modify(&change);
            }
        }
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.set("", |toxics| {
            *toxics = Toxics {
                resets: toxics.resets,
                ..Toxics::default()
            }
        });
    }

    /// Resets the connections of those whose name begins so.
    pub fn reset(&self, whose: &str) {
        self.set(whose, |toxics| toxics.resets += 1);
    }
}

impl Shared {
    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn toxics(&self, name: &Arc<str>) -> watch::Receiver<Toxics> {
        let mut rules = self.rules();
        let toxics = rules.by_name.entry(Arc::clone(name));
        toxics
            .or_insert_with(|| watch::Sender::new(Toxics::default()))
            .subscribe()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, from)) = accepted {
                    connections.spawn(connection(client, from, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let owner = shared.owners.of(from.port(), shared.port).await;
    let owner = owner.unwrap_or_else(|| STRANGER.into());
    let mut toxics = shared.toxics(&owner);
    // Nobody answers in a black hole.
    if toxics.wait_for(|toxics| !toxics.black_hole).await.is_err() {
        return;
    }
    for port in (shared.targets)() {
        if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
            // Who listens for publications may be made to miss some.
            let parses = owner.starts_with("gateway");
            pump::join(client, server, toxics, parses).await;
            return;
        }
    }
    // As if the port were closed.
    drop(client.set_zero_linger());
}

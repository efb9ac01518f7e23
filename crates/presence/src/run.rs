//! How the parts of the worker are put together, and taken apart.

use chinwag_runtime::Context;
use chinwag_store::Store;
use chinwag_worker::Ownership;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ROLE;
use crate::config::{Config, Error};
use crate::digest::{self, Teller};
use crate::listen;
use crate::lists::Lists;
use crate::settle::Settler;
use crate::sweep::Sweeper;

/// Keeps this process's share of users' states true, until the context stops.
///
/// # Errors
/// When a setting is wrong. What may pass by itself is waited for.
pub async fn run(config: Config, store: Store, context: Context) -> Result<(), Error> {
    let worker = chinwag_worker::Config::from(config).checked()?;
    let (ownership, shares) = Ownership::begin(worker, ROLE, store.clone(), &context);
    let (hand_over, changes) = mpsc::channel(digest::QUEUE);
    let (hints, hinted) = mpsc::channel(listen::QUEUE);
    let settler = Settler::new(store.clone(), hand_over);
    let teller = Teller::new(store.clone(), config.interval);
    let digests = context.spawn("digest", teller.run(changes));
    // These two have nothing to finish, and work on for as long as anything is held.
    let ended = CancellationToken::new();
    let sweeper = Sweeper::new(settler.clone(), shares.view());
    let sweeping = sweeper.run(config.interval);
    let sweeps = context.spawn("sweep", ended.clone().run_until_cancelled_owned(sweeping));
    let listening = listen::listen(store, hints);
    let listens = context.spawn("listen", ended.clone().run_until_cancelled_owned(listening));
    let lists = Lists::new(settler, shares, hinted, config.interval, &context);
    lists.run().await;
    ended.cancel();
    for task in [sweeps, listens] {
        // A panic is reported by the context.
        drop(task.await);
    }
    drop(digests.await);
    ownership.ended().await;
    Ok(())
}

//! The benchmark: fixed shapes of traffic, and what they cost a system.
//!
//! One thread with edge-triggered sockets plays all clients, so that it stays cheaper than any
//! server that it measures: nothing is parsed that is not needed, and nothing allocated for a
//! delivery. A message is outstanding until its sender has the answer *and* every member has the
//! message, so no server can win by answering early and delivering late.

mod args;
mod centrifuge;
mod cpu;
mod dialect;
mod engine;
mod frame;
mod http;
mod ledger;
mod outcome;
mod play;
mod setup;
mod shape;
mod socket;
mod system;
mod timer;

pub use args::Bench;
pub use cpu::Watched;
pub use dialect::{Dialect, Heard};
pub use outcome::Outcome;
pub use play::{Play, play};
pub use shape::{Shape, Size};

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

use crate::args::Load;
use crate::bench::centrifuge::Centrifuge;
use crate::bench::setup::Cast;
use crate::bench::system::System;
use crate::chaos::asked_to_end;
use crate::play::{raise_files, say};

/// Time for what making the accounts has set off to end.
const SETTLING: Duration = Duration::from_secs(1);

/// Plays each shape as often as asked, and tells what came of it.
///
/// # Errors
/// If the system cannot be started or reached.
pub(crate) async fn run(load: &Load, bench: &Bench) -> Result<()> {
    raise_files();
    let mut outcomes = Vec::new();
    for shape in &bench.shapes {
        for _ in 0..bench.repeat {
            let outcome = tokio::select! {
                outcome = once(load, bench, *shape) => outcome?,
                // Whoever gives up leaves no processes behind.
                () = asked_to_end() => anyhow::bail!("given up"),
            };
            if let Some(path) = &load.output.json {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let mut file = file.with_context(|| path.display().to_string())?;
                writeln!(file, "{}", serde_json::to_string(&outcome)?)?;
            }
            outcomes.push(outcome);
            say(&outcome::table(&outcomes));
        }
    }
    Ok(())
}

/// Plays a shape once.
async fn once(load: &Load, bench: &Bench, shape: Shape) -> Result<Outcome> {
    let system = match bench.start {
        true => Some(System::start(bench).await?),
        false => None,
    };
    let urls = system.as_ref().map_or(&load.urls, |system| &system.urls);
    let secret = system.as_ref().map(|system| system.secret.as_path());
    let secret = secret.or(load.token_secret_file.as_deref());
    let watched = match &system {
        Some(system) => system.watched(),
        None => cpu::at(urls, &bench.pids)?,
    };
    let size = bench.size(shape);
    let cast = Cast::gather(urls, secret, size.rooms, size.members, 1).await?;
    tokio::time::sleep(SETTLING).await;
    let play = Play {
        label: bench.label.clone(),
        shape: shape.name().to_owned(),
        size,
        doors: cast.doors(urls)?,
        seconds: bench.seconds,
        warm_up: bench.warm_up,
        bytes: bench.bytes,
        core: bench.own_core(),
        watched,
    };
    let dialect = Centrifuge::new(&cast);
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || drop(tell.send(play::play(&play, dialect))));
    let outcome = told.await.context("the generator has ended")??;
    if let Some(system) = system {
        system.end(bench.keep);
    }
    Ok(outcome)
}

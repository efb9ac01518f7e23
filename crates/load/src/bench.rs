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
mod history;
mod hold;
mod http;
mod idle;
mod ledger;
mod outcome;
mod play;
mod resume;
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

pub(crate) use hold::hold;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
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

/// The system that is measured.
pub(crate) struct Stage {
    pub urls: Vec<String>,
    /// The file of the secret of its tokens.
    pub secret: Option<PathBuf>,
    pub watched: Vec<Watched>,
}

impl Stage {
    fn play(&self, bench: &Bench, shape: &str) -> Play {
        Play {
            label: bench.label.clone(),
            shape: shape.to_owned(),
            size: Shape::S1.size(),
            doors: Vec::new(),
            seconds: bench.seconds,
            warm_up: bench.warm_up,
            bytes: bench.bytes,
            core: bench.own_core(),
            watched: self.watched.clone(),
        }
    }
}

/// Plays a shape once.
async fn once(load: &Load, bench: &Bench, shape: Shape) -> Result<Outcome> {
    let system = match bench.start {
        true => Some(System::start(bench).await?),
        false => None,
    };
    let stage = match &system {
        Some(system) => Stage {
            urls: system.urls.clone(),
            secret: Some(system.secret.clone()),
            watched: system.watched(),
        },
        None => Stage {
            urls: load.urls.clone(),
            secret: load.token_secret_file.clone(),
            watched: cpu::at(&load.urls, &bench.pids)?,
        },
    };
    let outcome = match shape {
        Shape::Idle => idle::run(bench, &stage).await?,
        Shape::Resume => resume::run(bench, &stage).await?,
        Shape::History => history::run(bench, &stage).await?,
        _ => conversation(bench, shape, &stage).await?,
    };
    if let Some(system) = system {
        system.end(bench.keep);
    }
    Ok(outcome)
}

async fn conversation(bench: &Bench, shape: Shape, stage: &Stage) -> Result<Outcome> {
    let (size, secret) = (bench.size(shape), stage.secret.as_deref());
    let cast = Cast::gather(&stage.urls, secret, size.rooms, size.members, 1).await?;
    tokio::time::sleep(SETTLING).await;
    let play = Play {
        size,
        doors: cast.doors(&stage.urls)?,
        ..stage.play(bench, shape.name())
    };
    apart(None, move || play::play(&play, Centrifuge::new(&cast))).await
}

/// Does something on a thread of its own, which may be given up.
async fn apart<T: Send + 'static>(
    core: Option<usize>,
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || drop(tell.send(cpu::on_core(core, act))));
    told.await.context("the generator has ended")?
}

//! Chaos: a whole system of its own, clients that go on whatever happens, one fault after the
//! other, and the question whether any promise was broken.
//!
//! Everything is done from outside: to processes, files, links and Redis, as an operator's bad
//! day would. What all clients did and saw is written down, and checked when all is over.

mod args;
mod fault;
mod http;
mod observer;
mod player;
mod process;
mod proxy;
mod pulse;
mod recorder;
mod redis;
mod resp;
mod result;
mod run;
mod seconds;
mod settle;
mod stage;
mod system;
mod topology;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub use args::Chaos;
pub use fault::Fault;
pub use topology::Topology;

pub(crate) use process::{Names, Process, Recipe, free_ports};

use crate::account;
use crate::check::{self, Rules};
use player::{Act, Part};
use recorder::Recorder;
use result::{Outcome, Trouble};
use run::Run;
use stage::{Size, Stage};
use system::{Plan, System};

/// How long observers look on when visitors are gone for good: longer than ghosts may be seen.
const GONE: Duration = Duration::from_secs(19);

/// Plays and prints what came of it.
///
/// # Errors
/// If the system cannot be started, or if a promise was broken.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) async fn run(chaos: &Chaos) -> Result<()> {
    let seed = chaos.seed.unwrap_or_else(|| fastrand::u64(..));
    let folder = system::folder(chaos.folder.as_deref(), &account::run_name())?;
    println!("seed {seed}, folder {}", folder.display());
    let plan = Plan {
        folder: folder.clone(),
        topology: chaos.topology,
        archive: chaos.archive.clone(),
        gateways: chaos.gateways.max(1),
        workers: chaos.workers.max(1),
    };
    let system = System::start(&plan).await?;
    let size = Size {
        clients: chaos.clients.max(8),
        rooms: chaos.rooms.max(1),
    };
    let stage = Stage::set(Recorder::new(), size, &system.gateways()).await?;
    let mut run = Run {
        system,
        stage: Arc::new(stage),
        random: fastrand::Rng::with_seed(seed),
        patience: Duration::from_secs(if chaos.short { 4 } else { 20 }),
        stuck: Vec::new(),
    };
    let faults = faults(chaos, &run.system);
    let injections = if chaos.short { 1 } else { chaos.injections };
    let unsettled = tokio::select! {
        unsettled = play(chaos, &mut run, &faults, injections) => unsettled?,
        // Whoever gives up leaves no processes behind.
        () = asked_to_end() => bail!("given up; seed {seed}, folder {}", folder.display()),
    };
    let history = run.stage.recorder.take();
    let trouble = Trouble {
        stuck: std::mem::take(&mut run.stuck),
        ended: std::mem::take(&mut run.system.ended),
        unsettled,
    };
    // Everything ends before the long work of checking begins.
    drop(run);
    let verdict = check::check(&history, &Rules::default());
    let outcome = Outcome::new(chaos, seed, &history, verdict, trouble)?;
    outcome.write(&folder, &history)?;
    outcome.print();
    if !outcome.is_good() {
        bail!("seed {seed}: look into {}", folder.display());
    }
    if !chaos.keep {
        std::fs::remove_dir_all(&folder).context("remove the folder of the run")?;
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => signals.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// Whether the process with this admin port says that it is ready.
pub(crate) async fn ready(admin: u16) -> bool {
    let status = http::status(admin, "/ready", Duration::from_millis(500)).await;
    status.is_ok_and(|status| status == 200)
}

/// The faults that were asked for and are possible here.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
fn faults(chaos: &Chaos, system: &System) -> Vec<Fault> {
    let mut asked = chaos.faults.clone();
    if asked.is_empty() {
        asked = Fault::value_variants().to_vec();
        asked.retain(|fault| fault.is_usual());
    }
    let mut possible = Vec::new();
    for fault in asked {
        match fault.impossible(system) {
            None => possible.push(fault),
            Some(why) => println!("left out: {} ({why})", fault.name()),
        }
    }
    possible
}

/// Visitors come and go, and it is looked who is shown to be there.
fn watch_presence(run: &Run, acts: &watch::Receiver<Act>) -> Result<JoinSet<Result<()>>> {
    let (stage, doors) = (&run.stage, &run.system.proxies);
    let door = |number: usize| {
        let proxy = doors.get(number % doors.len().max(1));
        proxy.map(|proxy| proxy.port).context("no gateway")
    };
    let mut tasks = JoinSet::new();
    for visitor in 0..stage.visitors.len() {
        let (door, acts) = (door(visitor)?, acts.clone());
        tasks.spawn(visitor::visit(Arc::clone(stage), visitor, door, acts));
    }
    let first = u32::try_from(stage.accounts.len() + stage.visitors.len())?;
    tasks.spawn(observer::observe(
        Arc::clone(stage),
        run.system.doors.clone(),
        first,
    ));
    tasks.spawn(visitor::host(Arc::clone(stage), door(1)?, first + 1));
    Ok(tasks)
}

/// Everybody plays, faults are made, and all comes to rest. What did not, if anything.
async fn play(
    chaos: &Chaos,
    run: &mut Run,
    faults: &[Fault],
    injections: usize,
) -> Result<Option<String>> {
    let (act, acts) = watch::channel(Act::Play);
    let mut players = JoinSet::new();
    let pause = run.stage.accounts.len() as f64 / chaos.rate.max(1.0);
    for client in 0..u32::try_from(run.stage.accounts.len())? {
        let proxy = client as usize % run.system.proxies.len().max(1);
        let part = Part {
            client,
            door: run.system.proxies.get(proxy).context("no gateway")?.port,
            pause: Duration::from_secs_f64(pause),
        };
        players.spawn(player::play(part, Arc::clone(&run.stage), acts.clone()));
    }
    let mut observers = watch_presence(run, &acts)?;
    tokio::select! {
        done = run.all(faults, injections) => done?,
        Some(ended) = players.join_next() => {
            ended??;
            bail!("a client has ended");
        }
    }
    act.send_replace(Act::Listen);
    let gone = Instant::now() + GONE;
    let mut unsettled = settle::settle(&mut run.system, &run.stage).await;
    // What was written down until then is to be looked into all the more.
    if let Err(error) = settle::finals(&run.system, &run.stage).await {
        unsettled.get_or_insert(format!("{error:#}"));
    }
    sleep_until(gone).await;
    act.send_replace(Act::End);
    observers.shutdown().await;
    while let Some(ended) = players.join_next().await {
        ended??;
    }
    Ok(unsettled)
}

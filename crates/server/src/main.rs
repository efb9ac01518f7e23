//! The binary `chinwag`: settings, subcommands and wiring.
//!
//! This crate reads the outside world (command line, environment, files), builds the parts that a
//! subcommand needs, and ends the process. It must never hold logic of its own about chats: what
//! happens to a message is in the crates that it wires together.

// What a whole worker waits for, down to a socket of Redis, is one type.
#![recursion_limit = "256"]

mod args;
mod connect;
mod ending;
mod folder;
mod gather;
mod parts;
mod private_redis;
mod redis_watch;
mod secret;
mod settings;
mod wire;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chinwag_runtime::log::Format;
use chinwag_runtime::metrics::Metrics;
use chinwag_runtime::{Admin, Context, Failure, Signal, Signals, log, metrics};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Arguments, Command, Config, Run};
use crate::ending::Ending;
use crate::parts::Parts;
use crate::settings::{Role, Settings, document};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a second signal counts as an echo of the first.
const ECHO: Duration = Duration::from_millis(200);
/// How long the address is held back, so that it stands below what is logged at the start.
const SETTLING: Duration = Duration::from_secs(2);

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(args::spelled_out(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => return say_usage(&error),
    };
    ending::report(match arguments.command {
        Command::Up(flags) => run(&Run::public(Role::Up, flags)),
        Command::Gateway(flags) => run(&Run::public(Role::Gateway, flags)),
        Command::Fanout(flags) => run(&Run::worker(Role::Fanout, flags)),
        Command::Presence(flags) => run(&Run::worker(Role::Presence, flags)),
        Command::Archiver(flags) => run(&Run::worker(Role::Archiver, flags)),
        Command::Load(load) => measure(load),
        Command::Config(command) => config(&command),
    })
}

/// One process from its settings to its end.
fn run(run: &Run) -> Result<(), Ending> {
    let settings = gather::run(run)?;
    let metrics = observe(&settings)?;
    let runtime = runtime()?;
    let ending = runtime.block_on(live(&settings, metrics));
    // Whatever still runs has been named; waiting for it here could take for ever.
    runtime.shutdown_background();
    ending
}

async fn live(settings: &Settings, metrics: Metrics) -> Result<(), Ending> {
    let mut signals = Signals::listen().map_err(system("signals"))?;
    let context = Context::new(settings.role.name());
    context.watch_runtime("main");
    let started = context.health().part("start");
    let admin = admin(settings, &context, metrics)?;
    let mut parts = Parts::new(settings, &context);
    let begun = tokio::select! {
        begun = parts.start() => begun,
        signal = signals.next() => Err(Ending::Early(signal)),
    };
    if let Err(ending) = begun {
        parts.drain().await;
        return Err(ending);
    }
    started.ready();
    settle(&context).await;
    announce(settings, &admin, &parts);
    let reason = tokio::select! {
        signal = signals.next() => Reason::Asked(signal),
        failure = context.failed() => Reason::Failed(failure),
    };
    tracing::info!(%reason, "draining");
    context.health().drain();
    let stragglers = tokio::select! {
        stragglers = parts.drain() => stragglers,
        signal = insisted(&mut signals) => return Err(Ending::AtOnce(signal)),
    };
    match reason {
        Reason::Failed(failure) => Err(Ending::Failed(failure)),
        Reason::Asked(_) if !stragglers.is_empty() => {
            Err(Ending::Stragglers(stragglers.join(", ")))
        }
        Reason::Asked(_) => {
            tracing::info!("stopped in good order");
            Ok(())
        }
    }
}

/// Waits for somebody who asks again. One Ctrl-C may reach a process twice, from the terminal and
/// from who started it: what comes right behind the first is the first.
async fn insisted(signals: &mut Signals) -> Signal {
    let began = Instant::now();
    loop {
        let signal = signals.next().await;
        if began.elapsed() > ECHO {
            return signal;
        }
    }
}

/// Why a process stops.
#[derive(Debug)]
enum Reason {
    Asked(Signal),
    Failed(Failure),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked(signal) => write!(formatter, "{signal}"),
            Self::Failed(failure) => write!(formatter, "{failure}"),
        }
    }
}

fn observe(settings: &Settings) -> Result<Metrics, Ending> {
    log::init(settings.log_format, &settings.log_filter).map_err(system("log"))?;
    metrics::install(settings.role.name(), VERSION).map_err(system("metrics"))
}

/// A report goes to standard output; only what went wrong should come between.
fn observe_quietly() -> Result<(), Ending> {
    let warnings = "warn".parse().map_err(system("log"))?;
    log::init(Format::Auto, &warnings).map_err(system("log"))
}

fn runtime() -> Result<Runtime, Ending> {
    Builder::new_multi_thread()
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(system("threads"))
}

fn admin(settings: &Settings, context: &Context, metrics: Metrics) -> Result<Admin, Ending> {
    let (key, address) = ("admin.listen", settings.admin);
    let listening = |error| Ending::Listen {
        key,
        address,
        error,
    };
    let listener = TcpListener::bind(address).map_err(listening)?;
    Admin::start(listener, context.health().clone(), metrics).map_err(listening)
}

/// Waits until all parts are ready, for a little while.
async fn settle(context: &Context) {
    let ready = async {
        while !context.health().readiness().ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Who is not ready by then says so in the log, and the address is told all the same.
    drop(tokio::time::timeout(SETTLING, ready).await);
}

/// Tells people where to look, and machines in the log. With port 0 in the settings, this is the
/// only place where the real ones stand.
#[expect(clippy::print_stdout, reason = "for whoever started it on a terminal")]
fn announce(settings: &Settings, admin: &Admin, parts: &Parts<'_>) {
    let role = settings.role.name();
    let public = parts.address().map(tracing::field::display);
    tracing::info!(role, version = VERSION, public, admin = %admin.address(), "running");
    println!("\nchinwag {VERSION} {role}");
    if let Some(public) = parts.address() {
        println!("  chat   http://{}/", reachable(public));
    }
    println!("  admin  http://{}/metrics", reachable(admin.address()));
    println!("  data   {}", settings.data.display());
}

/// An address that says "everywhere" is no address that one can go to.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    address.to_string()
}

/// Plays a scenario against a system that runs elsewhere.
fn measure(load: chinwag_load::Load) -> Result<(), Ending> {
    observe_quietly()?;
    runtime()?
        .block_on(chinwag_load::run(load))
        .map_err(Ending::Load)
}

fn config(command: &Config) -> Result<(), Ending> {
    let text = match command {
        Config::Default => document::defaults(),
        Config::Doc => document::reference(),
        Config::Check { file } => {
            gather::check(file)?;
            format!("{}: no problems\n", file.display())
        }
    };
    #[expect(clippy::print_stdout, reason = "what this subcommand is for")]
    {
        print!("{text}");
    }
    Ok(())
}

/// Help goes where it was asked for; a mistake in the arguments is one in the settings.
fn say_usage(error: &clap::Error) -> ExitCode {
    if let Err(error) = error.print() {
        tracing::error!(%error, "nowhere to print to");
    }
    if error.use_stderr() {
        ExitCode::from(ending::USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

fn system<E>(what: &'static str) -> impl Fn(E) -> Ending
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    move |error| Ending::System {
        what,
        error: error.into(),
    }
}

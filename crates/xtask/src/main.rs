//! `cargo xtask`: one command to start chinwag from its source, one to test all of it.
//!
//! Installs what is missing, saying so, and then runs. Imports no crate of ours, so that it builds
//! in seconds on a bare machine; the crates know nothing of it either.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever started it"
)]

mod bench;
mod chaos;
mod fuzz;
mod install;
mod step;
mod test;
mod tree;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// One command to start chinwag from its source, one to test all of it.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build chinwag and run all of it; installs redis-server if it is missing
    ///
    /// Everything behind `up` goes to `chinwag up` as it is: cargo xtask up --listen 0.0.0.0:8000,
    /// or cargo xtask up --help for its flags
    #[command(disable_help_flag = true)]
    Up {
        /// Flags of `chinwag up`
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAG"
        )]
        flags: Vec<String>,
    },
    /// Run everything that CI runs; installs what is missing
    Test,
    /// Fuzz every target for a while; needs the nightly compiler and cargo-fuzz
    Fuzz {
        /// Seconds per target
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Make every fault again and again, however Redis is set up, and check every promise
    ///
    /// Takes half an hour for each way to set up Redis. Everything behind `--` goes to
    /// `chinwag load --chaos`. What came of it is written into benches/RESULTS.md.
    Chaos(chaos::Chaos),
    /// Run the micro-benchmarks
    Bench {
        /// Only those whose name contains this
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that a returned error would bring: the causes say it all.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Up { flags } => up::run(&flags),
        Task::Test => test::run(),
        Task::Fuzz { seconds } => fuzz::run(seconds),
        Task::Chaos(chaos) => chaos::run(&chaos),
        Task::Bench { filter } => bench::run(filter.as_deref()),
    }
}

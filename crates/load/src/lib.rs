//! Load and measurement from outside: `chinwag load`.
//!
//! Owns the scenarios, the clients that play them, the checker of what they saw, and the report.
//! Messages are sent by a schedule that does not wait for answers (open loop), and latency counts
//! from the time by the schedule, so a server that stalls cannot hide it.
//!
//! Tasks here are not tracked: they end with the command, and a panic in one is an error of it.
//!
//! Never knows anything inside a server: it speaks the public protocol and HTTP, as anybody may.

mod account;
mod args;
pub mod bench;
mod cast;
mod chaos;
pub mod check;
mod ending;
mod finish;
mod idle;
mod meter;
mod notes;
mod place;
mod play;
mod player;
pub mod report;
mod script;
mod sign;

pub use args::{Load, Scenario};
pub use chaos::{Chaos, Fault, Topology};
pub use ending::{Usage, Violated};

/// Plays the scenario and prints its report.
///
/// # Errors
/// [`Usage`] if what is asked for makes no sense. [`Violated`], after the report, if anything was
/// lost, doubled or out of order. Others if the system cannot be reached or refuses what the
/// scenario needs.
pub async fn run(load: Load) -> anyhow::Result<()> {
    match (&load.scenario, script::Script::of(&load)) {
        (Scenario::Idle(idle), _) => idle::run(&load, idle).await,
        (Scenario::Chaos(chaos), _) => chaos::run(chaos).await,
        (Scenario::Hold, _) => bench::hold(),
        (Scenario::Bench(bench), _) => bench::run(&load, bench).await,
        (_, Some(script)) => play::play(&load, &script).await,
        (_, None) => Ok(()),
    }
}

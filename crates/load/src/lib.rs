//! Load and measurement from outside: `chinwag load`.
//!
//! Owns the scenarios, the clients that play them, and the report. Messages are sent by a schedule
//! that does not wait for answers (open loop), and latency counts from the time by the schedule,
//! so a server that stalls cannot hide it.
//!
//! Tasks here are not tracked: they end with the command, and a panic in one is an error of it.
//!
//! Never knows anything inside a server: it speaks the public protocol and HTTP, as anybody may.

mod account;
mod args;
mod chaos;
pub mod check;
mod idle;
mod member;
pub mod report;
mod seen;
mod steady;

pub use args::{Load, Scenario};
pub use chaos::{Chaos, Fault, Topology};

/// Plays the scenario and prints its report.
///
/// # Errors
/// If the system cannot be reached or refuses what the scenario needs; and, after the report, if
/// anything was lost, doubled or out of order.
pub async fn run(load: Load) -> anyhow::Result<()> {
    match &load.scenario {
        Scenario::Steady(steady) => steady::run(&load, steady).await,
        Scenario::Idle(idle) => idle::run(&load, idle).await,
        Scenario::Chaos(chaos) => chaos::run(chaos).await,
    }
}

//! What is asked for on the command line.

use clap::{Args, Subcommand};

use crate::chaos::Chaos;

/// Measures a running system from outside
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Where the system is; given more than once, connections take turns
    #[arg(long = "url", default_value = "http://127.0.0.1:8000", global = true)]
    pub urls: Vec<String>,
    /// What to play
    #[command(subcommand)]
    pub scenario: Scenario,
}

/// What can be played.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Rooms in which one member each writes at a steady rate, and all others listen
    Steady(Steady),
    /// Connections that say nothing, as long as asked
    Idle(Idle),
    /// A whole system of its own, one fault after the other, and whether any promise was broken
    Chaos(Box<Chaos>),
}

/// Rooms in which one member each writes.
#[derive(Debug, Clone, Copy, Args)]
pub struct Steady {
    /// Rooms
    #[arg(long, default_value_t = 10)]
    pub rooms: usize,
    /// Members of each room, each with a connection of their own
    #[arg(long, default_value_t = 5)]
    pub members: usize,
    /// Messages a second, over all rooms
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// How long to write, in seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Length of each text, in bytes
    #[arg(long, default_value_t = 100)]
    pub bytes: usize,
}

/// Connections that say nothing.
#[derive(Debug, Clone, Copy, Args)]
pub struct Idle {
    /// Connections, five for each user, each user in three rooms
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// How long to hold them, in seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// The server's process id, to tell what memory each connection costs it (same machine only)
    #[arg(long)]
    pub pid: Option<u32>,
}

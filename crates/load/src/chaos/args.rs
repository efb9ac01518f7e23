//! What is asked for on the command line.

use std::path::PathBuf;

use clap::Args;

use super::fault::Fault;
use super::topology::Topology;

/// Kills, stops and cuts off everything, again and again, and checks that no promise is broken
#[derive(Debug, Clone, Args)]
pub struct Chaos {
    /// How Redis is set up
    #[arg(long, value_enum, default_value_t = Topology::Standalone)]
    pub topology: Topology,
    /// The archive: a PostgreSQL URL; SQLite in the run's folder if absent
    #[arg(long, value_name = "URL")]
    pub archive: Option<String>,
    /// Which faults, by name; all that are possible if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// How often each fault is made
    #[arg(long, default_value_t = 3)]
    pub injections: usize,
    /// What decides the order and the details of all faults; a new one each time if absent
    #[arg(long)]
    pub seed: Option<u64>,
    /// Each fault once, and pauses of at most a few seconds
    #[arg(long)]
    pub short: bool,
    /// Clients, each a user with a session
    #[arg(long, default_value_t = 60)]
    pub clients: usize,
    /// Rooms, of six members each
    #[arg(long, default_value_t = 24)]
    pub rooms: usize,
    /// Messages a second, over all rooms
    #[arg(long, default_value_t = 150.0)]
    pub rate: f64,
    /// Gateways
    #[arg(long, default_value_t = 3)]
    pub gateways: usize,
    /// Workers of each kind
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Where the folder of the run is made [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Keep the folder even if no promise was broken
    #[arg(long)]
    pub keep: bool,
}

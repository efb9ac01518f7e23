//! What is asked for on the command line.

use std::path::PathBuf;

use clap::Args;

use super::cpu::Watched;
use super::shape::{Shape, Size};

/// Plays fixed shapes of traffic, the same for every server, and tells what they cost
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// Which, one after the other
    #[arg(long = "shape", value_enum, value_delimiter = ',', required = true)]
    pub shapes: Vec<Shape>,
    /// How often each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Start a whole system for each, in a new folder and pinned to one core, instead of using --url
    #[arg(long)]
    pub start: bool,
    /// Gateways of that system
    #[arg(long, default_value_t = 1)]
    pub gateways: usize,
    /// Workers of each kind of that system
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Its archive: a PostgreSQL URL; SQLite in the folder if absent
    #[arg(long, value_name = "URL")]
    pub archive: Option<String>,
    /// Further settings of its processes
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// The program to start, to compare builds [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Where the folder is made [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Keep the folder
    #[arg(long)]
    pub keep: bool,
    /// The core of all servers that are started
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The core of the generator
    #[arg(long, default_value_t = 1)]
    pub generator_core: usize,
    /// Leave it to the system which core runs what
    #[arg(long)]
    pub unpinned: bool,
    /// Processes whose time is counted beside those that listen at --url, such as redis=123
    #[arg(long = "pid", value_name = "NAME=PID", value_delimiter = ',')]
    pub pids: Vec<Watched>,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 10.0, value_parser = crate::args::rate)]
    pub seconds: f64,
    /// How long to play before measuring, in seconds
    #[arg(long, default_value_t = 1.5, value_parser = crate::args::seconds)]
    pub warm_up: f64,
    /// Length of each text, in bytes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(16..=32_000))]
    pub bytes: u16,
    /// Rooms, instead of the shape's
    #[arg(long)]
    pub rooms: Option<usize>,
    /// Members of each room, instead of the shape's
    #[arg(long)]
    pub members: Option<usize>,
    /// Connections of idle and resume, each a user's
    #[arg(long, default_value_t = 10_000, value_parser = crate::args::count)]
    pub connections: usize,
    /// How many connections of resume are being made at once
    #[arg(long, default_value_t = 1000, value_parser = crate::args::count)]
    pub at_once: usize,
    /// Messages that a sender has outstanding, instead of the shape's
    #[arg(long)]
    pub window: Option<usize>,
    /// Messages a second over all senders, whatever becomes of them, instead of the shape's
    #[arg(long, value_parser = crate::args::rate)]
    pub rate: Option<f64>,
    /// What stands in the reports for what was measured
    #[arg(long, default_value = "chinwag")]
    pub label: String,
}

impl Bench {
    /// The shape with what was asked for instead.
    pub(crate) fn size(&self, shape: Shape) -> Size {
        let size = shape.size();
        Size {
            rooms: self.rooms.unwrap_or(size.rooms).max(1),
            members: self.members.unwrap_or(size.members).max(1),
            window: self.window.unwrap_or(size.window).max(1),
            rate: self.rate.or(size.rate),
            ..size
        }
    }

    /// The core of the generator, if it has one to itself.
    pub(crate) fn own_core(&self) -> Option<usize> {
        (!self.unpinned).then_some(self.generator_core)
    }

    /// The core of the servers.
    pub(crate) fn servers_core(&self) -> Option<usize> {
        (!self.unpinned).then_some(self.server_core)
    }
}

//! What is asked for on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::bench::Bench;
use crate::chaos::Chaos;

/// Measures a running system from outside
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Where the system is; given more than once, connections take turns
    #[arg(long = "url", value_name = "URL", default_value = "http://127.0.0.1:8000", global = true, value_parser = url)]
    pub urls: Vec<String>,
    /// How to report
    #[command(flatten)]
    pub output: Output,
    /// The file of the server's token.hmac_secret: users then come with tokens signed here, which
    /// is much faster than registering them
    #[arg(long, value_name = "FILE", global = true)]
    pub token_secret_file: Option<PathBuf>,
    /// What to play
    #[command(subcommand)]
    pub scenario: Scenario,
}

/// What is left of a run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Report")]
pub struct Output {
    /// Write the report here, as JSON
    #[arg(long, value_name = "FILE", global = true)]
    pub json: Option<PathBuf>,
    /// Write the report here, as one HTML page with plots
    #[arg(long, value_name = "FILE", global = true)]
    pub html: Option<PathBuf>,
    /// Write down here all that clients did and saw, as JSON lines
    #[arg(long, value_name = "FILE", global = true)]
    pub history: Option<PathBuf>,
    /// Most records to keep for the checker, some 70 bytes each. What would be more is left out
    /// from the start, reader by reader and room by room. 0: nothing is checked but each stream
    #[arg(long, value_name = "COUNT", default_value_t = 2_000_000, global = true)]
    pub history_records: u64,
}

/// What can be played.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Rooms in which one member each writes at a steady rate, and all listen
    Steady(Steady),
    /// The same, but messages come many at once
    Burst(Burst),
    /// The same, while connections end and come back, each at its own time
    Churn(Churn),
    /// The same, and once many connections end at one moment and come back at another
    Storm(Storm),
    /// The same, beside readers that take little at a time
    Slow(Slow),
    /// One room of many members in which some write
    Hot(Hot),
    /// Connections that say nothing, as long as asked
    Idle(Idle),
    /// A whole system of its own, one fault after the other, and whether any promise was broken
    Chaos(Box<Chaos>),
    /// Fixed shapes of traffic, the same for every server, and what they cost
    Bench(Box<Bench>),
    /// Holds connections for a benchmark, in a process of its own
    #[command(hide = true)]
    Hold,
}

/// Rooms in which one member each writes.
#[derive(Debug, Clone, Copy, Args)]
pub struct Steady {
    /// Rooms
    #[arg(long, default_value_t = 10, value_parser = count)]
    pub rooms: usize,
    /// Members of each room, each with a connection of their own
    #[arg(long, default_value_t = 5, value_parser = count)]
    pub members: usize,
    /// Messages a second, over all rooms
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    pub rate: f64,
    /// How long to write, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Length of each text, in bytes
    #[arg(long, default_value_t = 100, value_parser = bytes)]
    pub bytes: usize,
}

/// Messages that come many at once.
#[derive(Debug, Clone, Copy, Args)]
pub struct Burst {
    /// The conversation
    #[command(flatten)]
    pub steady: Steady,
    /// Messages that a writer sends at once
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub burst: u64,
}

/// Connections that end and come back.
#[derive(Debug, Clone, Copy, Args)]
pub struct Churn {
    /// The conversation
    #[command(flatten)]
    pub steady: Steady,
    /// How long connections stay, in seconds, on average
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    pub stay: f64,
    /// How long they are away, in seconds, on average
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    pub away: f64,
}

/// Many connections that end at one moment.
#[derive(Debug, Clone, Copy, Args)]
pub struct Storm {
    /// The conversation
    #[command(flatten)]
    pub steady: Steady,
    /// Which part of the connections, in percent
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub share: u64,
    /// How long they are away, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = rate)]
    pub away: f64,
    /// Over how many seconds they come back
    #[arg(long, default_value_t = 0.0, value_parser = seconds)]
    pub spread: f64,
}

/// Readers that take little at a time.
#[derive(Debug, Clone, Copy, Args)]
pub struct Slow {
    /// The conversation
    #[command(flatten)]
    pub steady: Steady,
    /// Which part of the readers is slow, in percent
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100))]
    pub share: u64,
    /// Bytes that a slow reader takes in a second
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub pace: u64,
}

/// One room of many members.
#[derive(Debug, Clone, Copy, Args)]
pub struct Hot {
    /// Members, each with a connection of their own
    #[arg(long, default_value_t = 1000, value_parser = count)]
    pub members: usize,
    /// How many of them write
    #[arg(long, default_value_t = 5, value_parser = count)]
    pub writers: usize,
    /// Messages a second, over all writers
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    pub rate: f64,
    /// How long to write, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Length of each text, in bytes
    #[arg(long, default_value_t = 100, value_parser = bytes)]
    pub bytes: usize,
}

/// Connections that say nothing.
#[derive(Debug, Clone, Copy, Args)]
pub struct Idle {
    /// Connections, five for each user, each user in three rooms
    #[arg(long, default_value_t = 1000, value_parser = count)]
    pub connections: usize,
    /// How long to hold them, in seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// The server's process id, to tell what memory each connection costs it (same machine only)
    #[arg(long)]
    pub pid: Option<u32>,
}

fn url(text: &str) -> Result<String, String> {
    let uri: hyper::Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) if uri.path() == "/" => Ok(text.trim_end_matches('/').to_owned()),
        (Some("http"), Some(_)) => Err("must have no path behind host and port".to_owned()),
        _ => Err("must begin with http:// and a host; TLS is a proxy's business".to_owned()),
    }
}

pub(crate) fn count(text: &str) -> Result<usize, String> {
    within(text, 1, 1_000_000)
}

fn bytes(text: &str) -> Result<usize, String> {
    within(text, 0, 32_000)
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error| format!("{error}"))?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(format!("must be {least} to {most}"))
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        number if number > 0.0 => Ok(number),
        _ => Err("must be more than 0".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_finite() && (0.0..=1_000_000.0).contains(&number) {
        return Ok(number);
    }
    Err("must be 0 to 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        assert_eq!(url("http://a:1/").unwrap(), "http://a:1");
        assert!(url("https://a").unwrap_err().contains("http://"));
        assert!(url("http://a/chat").unwrap_err().contains("no path"));
        assert!(rate("0").unwrap_err().contains("more than 0"));
        assert!(rate("NaN").is_err() && rate("-1").is_err() && rate("x").is_err());
        assert_eq!(count("0").unwrap_err(), "must be 1 to 1000000");
        assert_eq!(bytes("0").unwrap(), 0);
    }
}

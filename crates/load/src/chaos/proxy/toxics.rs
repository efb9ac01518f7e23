//! What can be wrong with a link.

use std::time::Duration;

/// What is wrong with a link. Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Toxics {
    /// How much later everything arrives.
    pub latency: Duration,
    /// How much later than that, at most.
    pub jitter: Duration,
    /// Bytes per second and direction; without a limit if none.
    pub bandwidth: Option<u32>,
    /// Nothing arrives; what was sent arrives when the hole is closed.
    pub black_hole: bool,
    /// Which share of publications is lost between Redis and whoever listens.
    pub dropped: f64,
    /// How often all connections have been reset.
    pub resets: u32,
}

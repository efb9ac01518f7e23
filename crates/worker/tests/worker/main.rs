//! Stories of workers that share partitions, against a real redis-server: who owns what
//! (`ownership`), and what is done with the logs (`log`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod log;
mod ownership;
mod recorder;
mod support;

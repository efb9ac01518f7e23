//! Stories of fan-out workers, against a real redis-server: what members are told (`notices`),
//! and the order of their lists (`lists`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod lists;
mod notices;
mod stage;
#[path = "../../../worker/tests/worker/support.rs"]
mod support;

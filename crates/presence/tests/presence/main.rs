//! Stories of presence workers, against a real redis-server: users' states (`states`), who is told
//! (`digests`), gateways that die (`ghosts`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod digests;
mod ghosts;
mod stage;
mod states;
#[path = "../../../worker/tests/worker/support.rs"]
mod support;

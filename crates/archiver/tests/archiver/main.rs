//! Stories of archivers, against a real redis-server and a real archive: what is archived and
//! trimmed (`archive`), and who may (`takeover`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod archive;
mod gate;
mod speed;
mod stage;
#[path = "../../../worker/tests/worker/support.rs"]
mod support;
mod takeover;

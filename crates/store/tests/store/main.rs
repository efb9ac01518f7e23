//! Stories of the store against a real redis-server, each test with its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod append;
mod hold;
mod mark;
mod member;
mod replica;
mod room;
mod support;
mod topology;
mod user;

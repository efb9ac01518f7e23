//! One suite for every database.
//!
//! `suite` says what an archive does, as functions of a `&dyn Archive`; `sqlite` and `postgres`
//! run all of it and add what only they can do (two processes on a file, a server that is killed).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod postgres;
mod rows;
mod server;
mod sqlite;
mod suite;

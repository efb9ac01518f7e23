//! Stories of the store against a real redis-server, each test with its own.

mod append;
mod hold;
mod room;
mod support;
mod user;

//! Stories of the HTTP API against a real redis-server and a real archive, each with its own.
//! The router is asked directly, without a socket.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod archivist;
mod support;

mod account;
mod ack;
mod bad_input;
mod browser;
mod direct;
mod epoch;
mod lost;
mod message;
mod page;
mod room;
mod rpc;
mod server_api;
mod session;
mod throttle;

//! What is said between clients and servers, and what is kept of it.
//!
//! Owns the names of things (ids), the limits on what comes from outside, positions in a room,
//! the events that happen in rooms, the codes that tell a client its next move, and the wire
//! messages of the centrifuge client protocol v2 with their two encodings.
//!
//! Never knows about asynchronous code, clocks or Redis. Nothing in here blocks, and no decoder
//! panics, whatever the bytes.

pub mod ack;
pub mod code;
pub mod event;
pub mod id;
pub mod json;
pub mod limit;
pub mod position;

pub mod command;
pub mod request;

pub mod reply;
pub mod result;

pub mod push;

pub mod codec;

mod raw;
mod tagged;

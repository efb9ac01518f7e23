//! Everything that chinwag keeps in Redis.
//!
//! Owns the spelling of keys, the functions that run inside Redis, the form of stored records, and
//! one typed operation for each thing that the processes do there. This is the only crate that
//! imports `redis`.
//!
//! Never loops, spawns or sleeps, and never sees a socket of a client: every item is a single
//! operation that succeeds, or says what its caller should do next ([`Error`]).
//!
//! What is true in Redis, and what only helps: the partition's log is the truth until it is
//! archived, a room's ring is its recent tail, a publication is a hint.

mod connect;
mod deployment;
mod discover;
mod ears;
mod function;
mod line;
mod listener;
mod node;
mod occupant;
mod placement;
mod reader;
mod route;
mod router;
mod topology;
mod value;

pub mod append;
pub mod channel;
pub mod check;
pub mod cursor;
pub mod epoch;
pub mod error;
pub mod history;
pub mod keys;
pub mod lease;
pub mod log;
pub mod mark;
pub mod member;
pub mod moves;
pub mod order;
pub mod partition;
pub mod presence;
pub mod record;
pub mod restore;
pub mod room;
pub mod session;
pub mod store;
pub mod user;

pub use connect::Config;
pub use error::{Error, Result};
pub use partition::Partition;
pub use store::Store;

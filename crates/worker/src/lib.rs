//! Ownership of partitions, and the checkpointed loop over their logs: what every kind of worker
//! does, whatever an event means to it.
//!
//! This crate owns two things. [`Ownership`] keeps a worker's share of the partitions by lease,
//! and tells of it through [`Shares`]. [`run`] reads the logs of that share and has a [`Consumer`]
//! act on them, partition by partition, effects before checkpoint. It must never know what an
//! event means, nor that there is an archive.
//!
//! # Promises
//!
//! - A partition has at most one owner per role, by a lease whose token grows with each owner.
//!   Who should own it is computed ([`rendezvous`]), who does own it is decided in Redis.
//! - A worker that dies loses its share after one lease; another one that lives looks at that very
//!   moment and takes it. A planned handover pauses a partition for less than 100 ms: who goes says
//!   so, and who stays tries closely.
//! - Within a partition entries are applied in order, each at least once. The checkpoint moves
//!   after the effects, so every effect may happen twice.
//! - Redis or an archive that is away is weather: wait, try again, say so in `/ready`.
//!
//! # An entry that cannot be read
//!
//! It is logged with its place, counted (`chinwag_worker_unreadable_entries_total`) and passed on
//! like any other. What becomes of it is the consumer's decision; the log goes on.

pub mod checkpoint;
pub mod config;
pub mod consumer;
mod lag;
pub mod living;
pub mod ownership;
mod reader;
pub mod rendezvous;
mod round;
pub mod shares;

pub use checkpoint::run;
pub use config::{Config, Error};
pub use consumer::{Consumer, Failure};
pub use living::Living;
pub use ownership::Ownership;
pub use shares::{Hold, Shares};

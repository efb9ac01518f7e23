//! The presence worker: who is online, and who is told of it.
//!
//! A session belongs to one life of a gateway, and only that life has a lease. This crate owns
//! what follows from that: it takes users from the lists on which gateways put them, makes each
//! user's state what the sessions at living gateways say (`settle`), sweeps up after gateways
//! that died without a word (`sweep`), and tells rooms of what changed (`digest`). It must
//! never believe that somebody is gone because something could not be read.
//!
//! # Bounds
//!
//! - Nobody counts as online longer than the lease of their gateway and two seconds more after it
//!   died: one [`Config::interval`] and the time to sweep (`chinwag_presence_ghost_seconds`).
//! - A change is told within an interval, to the 200 rooms in which the user was active last, and
//!   on the user's own channel. Rooms of more than 250 members are not told, because each change
//!   there would go to so many: whoever wants to know asks.
//! - Digests are hints: a worker that dies between settling a user and telling of it does not
//!   tell. The state itself is never lost.
//!
//! Settling depends on nothing but sessions and leases, so that two workers may do it for the same
//! user at once, or one for no reason. Only taking users off a list needs its lease.

mod audit;
mod config;
mod digest;
mod listen;
mod lists;
mod run;
mod settle;
mod sweep;
mod transition;

pub use config::{Config, Error};
pub use run::run;

/// The role, as it stands in keys and metric labels.
pub const ROLE: &str = "presence";

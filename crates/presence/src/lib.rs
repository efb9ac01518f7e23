//! Who is online.
//!
//! Owns the way from sessions to states: it settles what gateways put onto the lists of users to
//! be looked at, sweeps up after gateways that died, and tells rooms who came and went. What a user's state is
//! follows from their sessions and from which gateways are alive, and from nothing else; so
//! settling twice, or for no reason, changes nothing.
//!
//! A partition of users has one presence worker by lease. A ghost lives at most as long as the
//! lease of its gateway, plus one [`Config::interval`] and the time to sweep.
//!
//! Never knows of sockets, messages or the archive.

mod config;
mod digest;
mod run;
mod settle;
mod sweep;

pub use config::{Config, Error};
pub use run::run;

/// The role, as it stands in keys and metric labels.
pub const ROLE: &str = "presence";

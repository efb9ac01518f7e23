//! Where clients connect: WebSockets, the HTTP API, and the page.
//!
//! A connection's state belongs to one thread. What a room says is decoded and checked once per
//! process, encoded once per encoding, and handed to each thread once.
//!
//! Never knows of the other processes, except through what is in Redis.
//!
//! The way in: `listener` accepts, `upgrade` makes sockets, `socket` reads `command`s, [`verbs`]
//! and [`backend`] write to Redis in batches. The way out: `inlet` hears what is published and
//! checks it with `tail`, each thread's `hub` gives it to connections, and each connection's
//! `outbox` goes out in as few writes as possible.

mod access;
mod acks;
mod admission;
mod api;
mod appear;
mod assert;
mod batcher;
mod behind;
mod busy;
mod command;
mod connection;
mod delivery;
mod framing;
mod gate;
mod household;
mod hub;
mod identity;
mod inlet;
mod lane;
mod listener;
mod losses;
mod name;
mod notices;
mod orders;
mod outbox;
mod past;
mod pressure;
mod rate;
mod recent;
mod reconcile;
mod recover;
mod replicas;
mod run;
mod shard;
mod socket;
mod subscription;
mod tail;
mod throttle;
mod timer;
mod upgrade;

pub mod alive;
pub mod backend;
pub mod config;
pub mod http;
pub mod password;
pub mod token;
pub mod verbs;

pub use config::Config;
pub use run::{StartError, run};

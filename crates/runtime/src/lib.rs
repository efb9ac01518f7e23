//! What every long-lived process does, whatever it is for: it logs, counts, says whether it is
//! ready and alive, runs tracked tasks, and stops in an orderly way.
//!
//! This crate owns that machinery and nothing else. It must never know what a chat is, nor that
//! there is a Redis; it reads no files, flags or environment, and it never exits: the binary does.
//!
//! A process is put together like this:
//!
//! 1. [`log::init`] and [`metrics::install`], so that all that follows is seen;
//! 2. a [`Context`] for the process and one [`Context::role`] for each of its parts, through which
//!    every task is spawned, so that none is lost when it panics and none is forgotten at the end;
//! 3. an [`Admin`] server on a thread of its own with `/live`, `/ready` and `/metrics`;
//! 4. [`Signals`] and [`Context::failed`] to wait for a reason to stop;
//! 5. [`Context::drain`], which tells every task, waits, and names those that did not end in time.

pub mod admin;
pub mod background;
pub mod backoff;
pub mod context;
pub mod health;
pub mod log;
pub mod metrics;
pub mod process;
pub mod shutdown;

pub use admin::Admin;
pub use backoff::{Backoff, Delays};
pub use context::{Context, Failure, Straggler};
pub use health::{Health, Part, Pulse};
pub use shutdown::{Signal, Signals};

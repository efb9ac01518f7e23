//! The fan-out worker: tells those of an event who are concerned and do not hear it in the room.
//!
//! Whoever is subscribed to a room hears its events when they are appended; that is not this
//! crate's business. It reads the same events from the log, a moment later, and owns what follows
//! from them: a room appears for those who came in and vanishes for those who went, their lists of
//! rooms move by activity, and sessions that watch a room without listening are told that
//! something happened. It must never know what a socket is, nor do anything to a message.
//!
//! # What may be late or missing
//!
//! Notices are hints: a gateway that missed one shows the room at the next connect. Lists of rooms
//! move at most every [`Config::activity_interval`] per room (every
//! [`Config::large_room_interval`] in rooms of more than [`Config::large_room`] members), with the
//! last move made when the interval is over. That a room is still to move is noted in Redis before
//! the mark moves past what was said in it, so that whoever comes after a worker that was killed
//! makes the moves that it had put off.

pub mod config;
mod fanout;
mod inbox;
mod recipients;
mod rooms;

pub use config::{Config, Error};
pub use fanout::run;

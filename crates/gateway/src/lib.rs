//! Where clients connect: WebSockets, the HTTP API, and the page.
//!
//! A connection's state belongs to one thread. What a room says is decoded and checked once per
//! process, encoded once per encoding, and handed to each thread once.
//!
//! Never knows of the other processes, except through what is in Redis.

mod batcher;

pub mod backend;
pub mod config;
pub mod token;
pub mod verbs;

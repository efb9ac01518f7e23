//! The harness of the end-to-end stories: private servers and real processes, all ended with the
//! value that holds them.

pub mod cluster;
pub mod http;
pub mod muffle;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;

//! How to reach Redis, and what is sent there.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Cmd};

use crate::function;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Config {
    /// One server: `redis://host:port/db`, `redis+unix:///path`, with user and password if needed.
    /// Several by a fixed map: `redis://a:1,b:2`. Through sentinels:
    /// `redis+sentinel://host:port,host:port/name`. A cluster: `redis+cluster://host:port,host:port`.
    pub url: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take. Blocking reads have their own.
    pub response_timeout: Duration,
    /// Partitions of a deployment that does not exist yet; an existing one must have as many.
    pub partitions: u16,
}

impl Config {
    pub(crate) fn connection(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
            // The default of 50 makes pipelined senders wait for each other.
            .set_pipeline_buffer_size(4096)
    }
}

/// A call of a function: its keys, then its arguments.
pub(crate) struct Call {
    name: &'static str,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            keys: Vec::new(),
            arguments: Vec::new(),
        }
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(crate) fn arg(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn number(self, argument: u64) -> Self {
        self.arg(argument.to_string())
    }

    /// The function's name, for errors and metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The command that makes the call.
    pub(crate) fn command(&self) -> Cmd {
        let mut command = redis::cmd("FCALL");
        command
            .arg(function::versioned(self.name))
            .arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for argument in &self.arguments {
            command.arg(argument);
        }
        command
    }
}

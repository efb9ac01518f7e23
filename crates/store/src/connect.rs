//! One connection to Redis that comes back by itself.
//!
//! A command fails at once when Redis cannot be reached; the next one connects anew. Retrying is
//! the caller's decision, because only the caller knows whether its command may run twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion, Value,
};
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::function;
use crate::value::Fields;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Config {
    /// `redis://host:port/db`, `redis+unix:///path`, with user and password if needed.
    pub url: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take. Blocking reads have their own.
    pub response_timeout: Duration,
    /// Partitions of a deployment that does not exist yet; an existing one must have as many.
    pub partitions: u16,
}

impl Config {
    /// The client for this configuration. Opens nothing.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_of(ProtocolVersion::RESP2)
    }

    /// A client whose connections hear what is published (RESP3's push messages).
    pub(crate) fn client_speaking_resp3(&self) -> Result<Client> {
        self.client_of(ProtocolVersion::RESP3)
    }

    fn client_of(&self, protocol: ProtocolVersion) -> Result<Client> {
        let unreachable = |error: redis::RedisError| Error::Unavailable(error.to_string());
        // Nagle's algorithm would hold small commands back for the peer's delayed acknowledgement.
        // The user timeout ends a connection whose peer has silently vanished.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(Duration::from_secs(10));
        let info = self
            .url
            .as_str()
            .into_connection_info()
            .map_err(unreachable)?;
        let settings = info.redis_settings().clone().set_protocol(protocol);
        Client::open(info.set_tcp_settings(tcp).set_redis_settings(settings)).map_err(unreachable)
    }

    pub(crate) fn connection(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
            // The default of 50 makes pipelined senders wait for each other.
            .set_pipeline_buffer_size(4096)
    }
}

/// A handle to one connection; clones share it, and its pipelining.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    config: AsyncConnectionConfig,
    /// What the connection is for, as a metric label.
    purpose: &'static str,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Grows with each connection, so that a late failure does not end a newer one.
    generation: u64,
    /// When and why connecting failed last.
    failed: Option<(Instant, Error)>,
}

impl Link {
    pub(crate) fn new(
        client: Client,
        config: AsyncConnectionConfig,
        purpose: &'static str,
    ) -> Self {
        let current = Mutex::new(Current::default());
        Self {
            shared: Arc::new(Shared {
                client,
                config,
                purpose,
                current,
            }),
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64)> {
        let asked = Instant::now();
        let mut current = self.shared.current.lock().await;
        if let Some(connection) = &current.connection {
            return Ok((connection.clone(), current.generation));
        }
        // Who waited while another tried in vain has its answer: a thousand commands that each tried
        // in turn would wait for a thousand timeouts.
        if let Some((_, error)) = current.failed.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(error.clone());
        }
        if current.generation > 0 {
            metrics::counter!("chinwag_redis_reconnects_total", "connection" => self.shared.purpose)
                .increment(1);
        }
        current.generation += 1;
        let config = self.shared.config.clone();
        let connected = self
            .shared
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let connection = connected.map_err(|error| {
            let error = self.unreachable(&error);
            current.failed = Some((Instant::now(), error.clone()));
            error
        })?;
        current.connection = Some(connection.clone());
        Ok((connection, current.generation))
    }

    /// A failure to connect, with the address: whoever reads it may have meant another.
    fn unreachable(&self, error: &redis::RedisError) -> Error {
        let address = self.shared.client.get_connection_info().addr();
        match Error::of("connect", error) {
            Error::Unavailable(problem) => Error::Unavailable(format!("{address}: {problem}")),
            error => error,
        }
    }

    /// Forgets the connection of `generation` if the error says that it is of no more use. A
    /// timeout counts: a black-holed link never reports that it is closed. So does the answer of a
    /// server that is the primary no longer: the address may lead to another one by now.
    async fn after(&self, error: &redis::RedisError, generation: u64) {
        let demoted = error.code() == Some("READONLY");
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() || demoted {
            let mut current = self.shared.current.lock().await;
            if current.generation == generation {
                current.connection = None;
            }
        }
    }

    /// Runs one command.
    pub(crate) async fn query(&self, name: &'static str, command: &Cmd) -> Result<Value> {
        let (mut connection, generation) = self.connection().await?;
        let started = Instant::now();
        let answer = connection
            .send_packed_command(command)
            .await
            .and_then(Value::extract_error);
        match answer {
            Ok(value) => {
                metrics::histogram!("chinwag_redis_command_seconds", "command" => name)
                    .record(started.elapsed());
                Ok(value)
            }
            Err(error) => {
                self.after(&error, generation).await;
                Err(counted(Error::of(name, &error)))
            }
        }
    }

    /// Runs commands in one round trip; all must succeed.
    pub(crate) async fn pipeline(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let (values, _) = self.pipeline_on(name, pipeline).await?;
        Ok(values)
    }

    /// Runs commands in one round trip, and says on which of this link's connections: what was
    /// learnt on an earlier one may have been another server's.
    pub(crate) async fn pipeline_on(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<(Vec<Value>, u64)> {
        let (mut connection, generation) = self.connection().await?;
        let started = Instant::now();
        match pipeline.query_async::<Vec<Value>>(&mut connection).await {
            Ok(values) => {
                metrics::histogram!("chinwag_redis_command_seconds", "command" => name)
                    .record(started.elapsed());
                Ok((values, generation))
            }
            Err(error) => {
                self.after(&error, generation).await;
                Err(counted(Error::of(name, &error)))
            }
        }
    }

    /// Calls a function of the library, which is loaded if the server does not have it.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value> {
        let command = call.command();
        match self.query(call.name, &command).await {
            Err(Error::Refused { problem, .. }) if is_missing(&problem) => {
                self.load().await?;
                self.query(call.name, &command).await
            }
            answer => answer,
        }
    }

    /// Calls that may be made twice, in one round trip.
    pub(crate) async fn calls(&self, name: &'static str, calls: &[Call]) -> Result<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for call in calls {
            pipeline.add_command(call.command());
        }
        match self.pipeline(name, &pipeline).await {
            Err(Error::Refused { problem, .. }) if is_missing(&problem) => {
                self.load().await?;
                self.pipeline(name, &pipeline).await
            }
            answer => answer,
        }
    }

    /// Loads the function library unless it is there, which a full server would refuse.
    pub(crate) async fn load_if_missing(&self) -> Result<()> {
        let mut command = redis::cmd("FUNCTION");
        command.arg("LIST").arg("LIBRARYNAME").arg(function::name());
        let found = self.query("function_list", &command).await?;
        if Fields::of("functions", found)?.is_empty() {
            self.load().await?;
        }
        Ok(())
    }

    /// Loads the function library.
    pub(crate) async fn load(&self) -> Result<()> {
        let mut command = redis::cmd("FUNCTION");
        command.arg("LOAD").arg("REPLACE").arg(function::library());
        self.query("function_load", &command).await.map(drop)
    }
}

fn is_missing(problem: &str) -> bool {
    problem.contains("Function not found")
}

fn counted(error: Error) -> Error {
    metrics::counter!("chinwag_redis_errors_total", "kind" => error.kind()).increment(1);
    error
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

    fn command(&self) -> Cmd {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that takes connections and says nothing, as one that stands still does.
    #[tokio::test]
    async fn commands_that_wait_together_for_a_connection_fail_together() {
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let timeout = Duration::from_millis(300);
        let config = Config {
            url: format!("redis://{}", mute.local_addr().unwrap()),
            connect_timeout: timeout,
            response_timeout: timeout,
            partitions: 4,
        };
        let link = Link::new(config.client().unwrap(), config.connection(), "commands");
        let command = redis::cmd("TIME");
        let began = Instant::now();
        let all = (0..20).map(|_| link.query("time", &command));
        for answer in futures_util::future::join_all(all).await {
            assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        }
        assert!(began.elapsed() < 3 * timeout, "{:?}", began.elapsed());
    }
}

//! One connection to one server that comes back by itself.
//!
//! A command fails at once when the server cannot be reached; the next one connects anew. Retrying
//! is the caller's decision, because only the caller knows whether its command may run twice.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, ServerError, Value};
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::topology::Address;
use crate::value::{self, Fields};

/// A handle to one connection; clones share it, and its pipelining.
#[derive(Clone)]
pub(crate) struct Node {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    client: Client,
    config: AsyncConnectionConfig,
    /// What the connection is for, as a metric label.
    purpose: &'static str,
    /// Whether to ask the server if it is the primary before it is believed anything.
    verify: bool,
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

/// What a failure says of the map that led here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Nothing.
    Keep,
    /// It may be another server's turn by now.
    Look,
    /// The slot is another server's now. Nothing was done.
    Moved(u16, Address),
    /// The slot is on its way to another server, which has this key already. Nothing was done.
    Ask(Address),
}

/// Why a server did not do something.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) hint: Hint,
}

impl Failure {
    /// A failure that has nothing to do with the map.
    pub(crate) fn of(error: Error) -> Self {
        let hint = Hint::Keep;
        Self { error, hint }
    }
}

impl Node {
    pub(crate) fn new(
        address: Address,
        client: Client,
        config: AsyncConnectionConfig,
        purpose: &'static str,
        verify: bool,
    ) -> Self {
        let current = Mutex::new(Current::default());
        Self {
            shared: Arc::new(Shared {
                address,
                client,
                config,
                purpose,
                verify,
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
        let shared = &self.shared;
        let opened = open(&shared.client, &shared.config, shared.verify).await;
        let connection = opened.map_err(|error| {
            let error = self.unreachable(error);
            current.failed = Some((Instant::now(), error.clone()));
            error
        })?;
        current.connection = Some(connection.clone());
        Ok((connection, current.generation))
    }

    /// A failure to connect, with the address: whoever reads it may have meant another.
    fn unreachable(&self, error: Error) -> Error {
        match error {
            Error::Unavailable(problem) => {
                Error::Unavailable(format!("{}: {problem}", self.shared.address))
            }
            error => error,
        }
    }

    /// Forgets the connection of `generation`, unless there is a newer one.
    pub(crate) async fn forget(&self, generation: u64) {
        let mut current = self.shared.current.lock().await;
        if current.generation == generation {
            current.connection = None;
        }
    }

    /// Runs one command.
    pub(crate) async fn one(&self, name: &'static str, command: &Cmd) -> Result<Value, Failure> {
        let (mut connection, generation) = self.connection().await.map_err(unconnected)?;
        let answer = connection.send_packed_command(command).await;
        match answer.and_then(Value::extract_error) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed(name, &error, generation).await),
        }
    }

    /// Runs commands in one round trip, and says on which of this node's connections: what was
    /// learnt on an earlier one may have been another server's. Answers may be errors of one
    /// command, see [`Node::refused`].
    pub(crate) async fn many(
        &self,
        name: &'static str,
        commands: &Pipeline,
    ) -> Result<(Vec<Value>, u64), Failure> {
        let (mut connection, generation) = self.connection().await.map_err(unconnected)?;
        let answers = connection
            .send_packed_commands(commands, 0, commands.len())
            .await;
        match answers {
            Ok(answers) => Ok((answers, generation)),
            Err(error) => Err(self.failed(name, &error, generation).await),
        }
    }

    /// What an error among the answers of [`Node::many`] means.
    pub(crate) async fn refused(
        &self,
        name: &'static str,
        error: ServerError,
        generation: u64,
    ) -> Failure {
        self.failed(name, &error.into(), generation).await
    }

    /// What follows from an error. The connection is forgotten if it is of no more use. A timeout
    /// counts: a black-holed link never reports that it is closed. So does the answer of a server
    /// that is the primary no longer: the address may lead to another one by now.
    async fn failed(&self, name: &'static str, error: &RedisError, generation: u64) -> Failure {
        let broken = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
        if broken || error.code() == Some("READONLY") {
            self.forget(generation).await;
        }
        let failure = Self::judged(&self.shared.address, name, error);
        let hint = if broken { Hint::Look } else { failure.hint };
        Failure { hint, ..failure }
    }

    /// What a server's error says.
    pub(crate) fn judged(address: &Address, name: &'static str, error: &RedisError) -> Failure {
        Failure {
            error: Error::of(name, error),
            hint: hint(address, error),
        }
    }
}

fn hint(asked: &Address, error: &RedisError) -> Hint {
    let detail = error.detail().unwrap_or_default();
    let elsewhere = || elsewhere(asked, detail);
    match error.code() {
        Some("MOVED") => {
            elsewhere().map_or(Hint::Look, |(slot, address)| Hint::Moved(slot, address))
        }
        Some("ASK") => elsewhere().map_or(Hint::Look, |(_, address)| Hint::Ask(address)),
        Some("READONLY" | "CLUSTERDOWN" | "MASTERDOWN" | "NOREPLICAS" | "UNBLOCKED") => Hint::Look,
        _ => Hint::Keep,
    }
}

/// Reads `slot host:port`. No host means that of the server that was asked.
fn elsewhere(asked: &Address, detail: &str) -> Option<(u16, Address)> {
    let (slot, address) = detail.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    let host = match (host, asked) {
        ("", Address::Tcp(host, _)) => host.clone(),
        _ => host.to_owned(),
    };
    Some((slot.parse().ok()?, Address::Tcp(host, port.parse().ok()?)))
}

fn unconnected(error: Error) -> Failure {
    Failure {
        error,
        hint: Hint::Look,
    }
}

/// Connects, and makes sure that it is a primary if that may be in doubt.
pub(crate) async fn open(
    client: &Client,
    config: &AsyncConnectionConfig,
    verify: bool,
) -> Result<MultiplexedConnection> {
    let failed = |error: RedisError| Error::of("connect", &error);
    let connected = client
        .get_multiplexed_async_connection_with_config(config)
        .await;
    let mut connection = connected.map_err(failed)?;
    if verify {
        let answer = connection.send_packed_command(&redis::cmd("ROLE")).await;
        let answer = answer.and_then(Value::extract_error).map_err(failed)?;
        let role = value::text("role", Fields::of("role", answer)?.value()?)?;
        if role != "master" {
            return Err(Error::Unavailable(format!(
                "it is a {role} and not the primary"
            )));
        }
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn node(address: std::net::SocketAddr, timeout: Duration) -> Node {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let client = Client::open(format!("redis://{address}")).unwrap();
        let address = Address::Tcp(address.ip().to_string(), address.port());
        Node::new(address, client, config, "commands", false)
    }

    /// A server that takes connections and says nothing, as one that stands still does.
    #[tokio::test]
    async fn commands_that_wait_together_for_a_connection_fail_together() {
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let timeout = Duration::from_millis(300);
        let node = node(mute.local_addr().unwrap(), timeout);
        let command = redis::cmd("TIME");
        let began = Instant::now();
        let all = (0..20).map(|_| node.one("time", &command));
        for answer in futures_util::future::join_all(all).await {
            let error = answer.unwrap_err().error;
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
        }
        assert!(began.elapsed() < 3 * timeout, "{:?}", began.elapsed());
    }

    #[test]
    fn redirections_name_a_slot_and_a_server() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        let asked = tcp("127.0.0.1", 7000);
        let elsewhere = |detail| elsewhere(&asked, detail);
        assert_eq!(elsewhere("12 h:1"), Some((12, tcp("h", 1))));
        assert_eq!(elsewhere("12 ::1:9"), Some((12, tcp("::1", 9))));
        assert_eq!(elsewhere("12 :9"), Some((12, tcp("127.0.0.1", 9))));
        assert_eq!(elsewhere("nonsense"), None);
    }
}

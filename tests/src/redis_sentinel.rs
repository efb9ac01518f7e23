//! A primary with two replicas, watched by three sentinels.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::redis_server::{Server, eventually};

/// The name under which the primary is watched.
pub const NAME: &str = "chat";

/// Three servers, one of them the primary, and three sentinels.
pub struct Sentinels {
    /// The servers that hold data. The first is the primary at first.
    pub servers: Vec<Server>,
    /// Those who watch.
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// Starts them and waits until they know each other. After `down_after` without an answer the
    /// primary counts as down.
    ///
    /// # Errors
    /// If they do not find each other.
    pub fn start(down_after: Duration) -> Result<Self> {
        // A primary that was cut off soon refuses what its successor will not have.
        let safe = "--min-replicas-to-write 1 --min-replicas-max-lag 3";
        let primary = Server::start(&[safe])?;
        let port = primary.port();
        let follow = format!("--replicaof 127.0.0.1 {port}");
        let replicas = [
            Server::start(&[safe, &follow])?,
            Server::start(&[safe, &follow])?,
        ];
        eventually("two replicas follow", || {
            Ok(primary.info("min_slaves_good_slaves")? == "2")
        })?;
        let settings = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {NAME} {}\n\
             sentinel failover-timeout {NAME} 6000\n\
             sentinel parallel-syncs {NAME} 2\n",
            down_after.as_millis()
        );
        let start = |_| Server::sentinel(&settings);
        let sentinels = (0..3).map(start).collect::<Result<Vec<Server>>>()?;
        let mut servers = vec![primary];
        servers.extend(replicas);
        let set = Self { servers, sentinels };
        eventually("sentinels know each other", || {
            for sentinel in &set.sentinels {
                let known = |field| watched(sentinel, field);
                if known("num-slaves")? != "2" || known("num-other-sentinels")? != "2" {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(set)
    }

    /// The URL to reach whichever server is the primary.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(Server::address).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Which of the servers the sentinels say is the primary.
    ///
    /// # Errors
    /// If the first sentinel does not know it.
    pub fn primary(&self) -> Result<usize> {
        let port = watched(self.sentinels.first().context("no sentinel")?, "port")?;
        let is = |server: &Server| server.port().to_string() == port;
        self.servers.iter().position(is).context("no such server")
    }
}

fn watched(sentinel: &Server, field: &str) -> Result<String> {
    let words: Vec<String> = sentinel.ask(&["SENTINEL", "MASTER", NAME])?;
    let at = words.iter().position(|word| word == field);
    let value = at.and_then(|at| words.get(at + 1));
    value.cloned().with_context(|| format!("no {field}"))
}

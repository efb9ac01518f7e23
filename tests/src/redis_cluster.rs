//! A Redis Cluster of three primaries with a replica each.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::redis_server::{Server, eventually, free_port};

/// Six servers. Which of them are primaries, only they know.
pub struct RedisCluster {
    /// All of them, in the order in which they were started.
    pub servers: Vec<Server>,
}

impl RedisCluster {
    /// Starts them and waits until they agree. A server that does not answer for two seconds is
    /// replaced.
    ///
    /// # Errors
    /// If they do not.
    pub fn start() -> Result<Self> {
        let servers = (0..6)
            .map(|_| start_one())
            .collect::<Result<Vec<Server>>>()?;
        let cluster = Self { servers };
        let addresses: Vec<String> = cluster.servers.iter().map(Server::address).collect();
        let made = Command::new("redis-cli")
            .args([
                "--cluster",
                "create",
                "--cluster-yes",
                "--cluster-replicas",
                "1",
            ])
            .args(&addresses)
            .output()
            .context("run redis-cli; install it with `apt-get install redis-tools`")?;
        if !made.status.success() {
            bail!("redis-cli: {}", String::from_utf8_lossy(&made.stdout));
        }
        cluster.settle()?;
        Ok(cluster)
    }

    /// Waits until all that run agree that three primaries have all slots and each running
    /// replica follows one.
    ///
    /// # Errors
    /// If they do not.
    pub fn settle(&self) -> Result<()> {
        eventually("the cluster agrees", || {
            for server in &self.servers {
                let Ok(view) = server.ask::<String>(&["CLUSTER", "INFO"]) else {
                    continue;
                };
                if !view.contains("cluster_state:ok") || !view.contains("cluster_size:3") {
                    return Ok(false);
                }
                let is_replica = server.info("role")? == "slave";
                if is_replica && server.info("master_link_status")? != "up" {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// The URL to reach it by: any three of its servers.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.servers.iter().take(3).map(Server::address).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Which server is the primary of a key's slot, in the eyes of those that run.
    ///
    /// # Errors
    /// If nobody has it.
    pub fn owner(&self, key: &str) -> Result<usize> {
        let slot = self.slot(key)?;
        let is_owner = |server: &Server| {
            let view = server
                .ask::<String>(&["CLUSTER", "NODES"])
                .unwrap_or_default();
            let mine = view.lines().find(|line| line.contains("myself"));
            mine.is_some_and(|line| slots(line).any(|(first, last)| (first..=last).contains(&slot)))
        };
        self.servers
            .iter()
            .position(is_owner)
            .context("nobody has the slot")
    }

    /// The slot of a key.
    ///
    /// # Errors
    /// If no server answers.
    pub fn slot(&self, key: &str) -> Result<u16> {
        let ask = |server: &Server| server.ask(&["CLUSTER", "KEYSLOT", key]).ok();
        self.servers
            .iter()
            .find_map(ask)
            .context("no server answers")
    }

    /// Moves a slot with all that is in it to another primary, key by key, as a reshard does.
    ///
    /// # Errors
    /// If one of them refuses.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) -> Result<()> {
        let (source, target) = (self.server(from)?, self.server(to)?);
        let number = slot.to_string();
        let source_id: String = source.ask(&["CLUSTER", "MYID"])?;
        let target_id: String = target.ask(&["CLUSTER", "MYID"])?;
        let set = |server: &Server, words: &[&str]| {
            let command = [&["CLUSTER", "SETSLOT", number.as_str()], words].concat();
            server.ask::<String>(&command).map(drop)
        };
        set(target, &["IMPORTING", &source_id])?;
        set(source, &["MIGRATING", &target_id])?;
        loop {
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &number, "100"])?;
            if keys.is_empty() {
                break;
            }
            let port = target.port().to_string();
            let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            command.extend(keys.iter().map(String::as_str));
            source.ask::<String>(&command)?;
        }
        // The target first, so that there is always somebody who has the slot.
        set(target, &["NODE", &target_id])?;
        set(source, &["NODE", &target_id])?;
        for server in &self.servers {
            if server.info("role").is_ok_and(|role| role == "master") {
                set(server, &["NODE", &target_id])?;
            }
        }
        Ok(())
    }

    fn server(&self, at: usize) -> Result<&Server> {
        self.servers.get(at).context("no such server")
    }
}

fn start_one() -> Result<Server> {
    let bus = format!("--cluster-port {}", free_port()?);
    Server::start(&[
        // Slots whose primary is gone must not keep the others from answering.
        "--cluster-enabled yes --cluster-node-timeout 2000 --cluster-require-full-coverage no",
        // A replica may be chosen however long it has been without its primary.
        "--cluster-replica-validity-factor 0",
        &bus,
    ])
}

/// The ranges of slots in a line of `CLUSTER NODES`.
fn slots(line: &str) -> impl Iterator<Item = (u16, u16)> {
    line.split(' ').skip(8).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

//! Primaries that share the slots, with a replica each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::{Servers, Topology, doors};
use crate::chaos::process::{Names, free_ports};
use crate::chaos::proxy::Proxy;
use crate::chaos::redis::Redis;

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;
/// How long a node may be silent before the others vote.
const NODE_TIMEOUT_MS: u32 = 2000;
/// How long everything may take to find itself.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn start(folder: &Path, names: &Names) -> Result<Servers> {
    let mut nodes = Vec::new();
    let mut buses = Vec::new();
    let ports = free_ports(PRIMARIES * 2 * 4)?;
    for (number, ports) in ports.chunks(4).enumerate() {
        let [port, door, bus, bus_door] = ports else {
            bail!("too few ports");
        };
        let pairs = [
            ("--cluster-enabled", "yes".to_owned()),
            ("--cluster-port", bus.to_string()),
            ("--cluster-node-timeout", NODE_TIMEOUT_MS.to_string()),
            // Everybody is told the proxy's address, so that each link between two can be bad.
            ("--cluster-announce-ip", "127.0.0.1".to_owned()),
            ("--cluster-announce-port", door.to_string()),
            ("--cluster-announce-bus-port", bus_door.to_string()),
            ("--cluster-replica-validity-factor", "0".to_owned()),
            ("--repl-timeout", "10".to_owned()),
        ];
        let more: Vec<String> = pairs
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect();
        let name = format!("redis-{number}");
        let mut node = Redis::new(&name, (*port, *door), folder, names, &more).await?;
        node.start().await?;
        nodes.push(node);
        let real = *bus;
        let targets = Arc::new(move || vec![real]);
        buses.push(Proxy::start(*bus_door, targets, names).await?);
    }
    let servers = Servers {
        topology: Topology::Cluster,
        url: format!("redis+cluster://{}", doors(&nodes)),
        nodes,
        sentinels: Vec::new(),
        primaries: PRIMARIES,
        buses,
    };
    introduce(&servers).await.context("form a cluster")?;
    Ok(servers)
}

/// Makes a cluster of nodes that know nothing of each other.
async fn introduce(servers: &Servers) -> Result<()> {
    let first = servers.nodes.first().context("no nodes")?;
    for (number, (node, bus)) in servers.nodes.iter().zip(&servers.buses).enumerate() {
        if number < PRIMARIES {
            let from = SLOTS * number / PRIMARIES;
            let to = SLOTS * (number + 1) / PRIMARIES - 1;
            let (from, to) = (from.to_string(), to.to_string());
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await?;
        }
        let epoch = (number + 1).to_string();
        node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
        let (port, bus) = (node.port.to_string(), bus.port.to_string());
        if number > 0 {
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            first.ask(&words).await?;
        }
    }
    let known = servers.nodes.len().to_string();
    wait(servers, &format!("cluster_known_nodes:{known}\r")).await?;
    for (number, node) in servers.nodes.iter().enumerate().skip(PRIMARIES) {
        let primary = servers
            .nodes
            .get(number - PRIMARIES)
            .context("no primary")?;
        let id = primary.ask(&["CLUSTER", "MYID"]).await?.text();
        let id = id.context("a node without an id")?;
        let late = Instant::now() + PATIENCE;
        while let Err(error) = node.ask(&["CLUSTER", "REPLICATE", &id]).await {
            if Instant::now() > late {
                return Err(error);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    let late = Instant::now() + PATIENCE;
    while let Some(complaint) = complaint(servers).await {
        if Instant::now() > late {
            bail!("the cluster is not ready: {complaint}");
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Waits until all nodes say so of the cluster.
async fn wait(servers: &Servers, line: &str) -> Result<()> {
    let late = Instant::now() + PATIENCE;
    for node in &servers.nodes {
        while !info(node).await.is_some_and(|info| info.contains(line)) {
            if Instant::now() > late {
                bail!("{} does not come to {line:?}", node.process.name);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

async fn info(node: &Redis) -> Option<String> {
    node.ask(&["CLUSTER", "INFO"]).await.ok()?.text()
}

/// What is not as it should be: all nodes see all slots served, and each primary has a replica.
pub(super) async fn complaint(servers: &Servers) -> Option<String> {
    let (mut primaries, mut online) = (0, 0);
    for node in &servers.nodes {
        let name = &node.process.name;
        let Some(state) = info(node).await else {
            return Some(format!("{name} does not answer"));
        };
        if !state.contains("cluster_state:ok") || !state.contains("cluster_slots_fail:0") {
            return Some(format!("{name} sees slots that nobody serves"));
        }
        let Some(info) = node.ask(&["INFO", "replication"]).await.ok()?.text() else {
            continue;
        };
        if info.contains("role:master") {
            primaries += 1;
            online += usize::from(info.contains("state=online"));
        }
    }
    let all = primaries == PRIMARIES && online == PRIMARIES;
    (!all).then(|| format!("{primaries} primaries, {online} of them with a replica"))
}

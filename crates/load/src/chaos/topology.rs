//! The ways in which Redis is set up.

mod cluster;
mod sentinel;

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::chaos::process::{Names, Process, free_ports};
use crate::chaos::proxy::Proxy;
use crate::chaos::redis::Redis;

/// How Redis is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Topology {
    /// One server
    Standalone,
    /// A primary, two replicas, and three sentinels that watch them
    Sentinel,
    /// Three primaries with a replica each
    Cluster,
    /// Three servers that know nothing of each other, each with a share of the partitions
    Map,
}

/// All servers, and the URL by which our processes find them.
pub(crate) struct Servers {
    pub topology: Topology,
    pub url: String,
    pub nodes: Vec<Redis>,
    pub sentinels: Vec<Sentinel>,
    /// How many of the nodes take writes while all is well.
    pub primaries: usize,
    /// In a cluster, what stands before the port by which each node hears the others.
    buses: Vec<Proxy>,
}

/// A sentinel. Nothing is done to it.
pub(crate) struct Sentinel {
    pub process: Process,
    pub port: u16,
}

/// The name under which sentinels know the primary.
pub(crate) const PRIMARY: &str = "chinwag";

impl Servers {
    /// Starts all of them.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(topology: Topology, folder: &Path, names: &Names) -> Result<Self> {
        match topology {
            Topology::Standalone => Self::apart(topology, 1, folder, names).await,
            Topology::Map => Self::apart(topology, 3, folder, names).await,
            Topology::Sentinel => sentinel::start(folder, names).await,
            Topology::Cluster => cluster::start(folder, names).await,
        }
    }

    /// Servers that know nothing of each other.
    async fn apart(topology: Topology, count: usize, folder: &Path, names: &Names) -> Result<Self> {
        let mut nodes = Vec::new();
        for (number, ports) in ports(count)?.into_iter().enumerate() {
            let name = format!("redis-{number}");
            let mut node = Redis::new(&name, ports, folder, names, &[]).await?;
            node.start().await?;
            nodes.push(node);
        }
        let url = format!("redis://{}", doors(&nodes));
        Ok(Self {
            topology,
            url,
            nodes,
            sentinels: Vec::new(),
            primaries: count,
            buses: Vec::new(),
        })
    }

    /// The node through whose proxy this address leads.
    pub fn behind(&self, door: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.proxy.port == door)
    }

    /// The nodes that take writes at this moment, by number.
    pub async fn primaries(&self) -> Vec<usize> {
        if self.topology == Topology::Sentinel {
            let primary = sentinel::primary(&self.sentinels).await;
            return primary
                .and_then(|door| self.behind(door))
                .into_iter()
                .collect();
        }
        let mut primaries = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            if node.is_primary().await {
                primaries.push(number);
            }
        }
        primaries
    }

    /// Cuts a node off from all other servers, or joins it to them again. Our processes reach it.
    pub fn isolate(&self, number: usize, cut: bool) {
        let name = format!("redis-{number}");
        if let Some(node) = self.nodes.get(number) {
            for watcher in ["redis", "sentinel"] {
                node.proxy.set(watcher, |toxics| toxics.black_hole = cut);
            }
        }
        for (other, bus) in self.buses.iter().enumerate() {
            let whose = if other == number { "" } else { &name };
            bus.set(whose, |toxics| toxics.black_hole = cut);
        }
    }

    /// A node by its number.
    ///
    /// # Errors
    /// If there is none.
    pub fn node(&mut self, number: usize) -> Result<&mut Redis> {
        self.nodes.get_mut(number).context("no such redis")
    }

    /// What is not as it should be.
    pub async fn complaint(&self) -> Option<String> {
        match self.topology {
            Topology::Standalone | Topology::Map => None,
            Topology::Sentinel => sentinel::complaint(self).await,
            Topology::Cluster => cluster::complaint(self).await,
        }
    }
}

/// For each server a port, and one for the proxy before it.
fn ports(count: usize) -> Result<Vec<(u16, u16)>> {
    let ports = free_ports(count * 2)?;
    let pair = |pair: &[u16]| Some((*pair.first()?, *pair.get(1)?));
    Ok(ports.chunks(2).filter_map(pair).collect())
}

fn doors(nodes: &[Redis]) -> String {
    let doors = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.proxy.port));
    doors.collect::<Vec<_>>().join(",")
}

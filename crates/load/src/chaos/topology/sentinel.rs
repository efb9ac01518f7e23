//! A primary, its replicas, and the sentinels that choose another primary when it is gone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::{PRIMARY, Sentinel, Servers, Topology, doors, ports};
use crate::chaos::process::{Names, Process, Recipe, free_ports};
use crate::chaos::redis::Redis;
use crate::chaos::resp::{self, Value};

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
/// How long a primary may be silent before sentinels ask each other.
const DOWN_AFTER_MS: u32 = 2000;
/// How long everything may take to find itself.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn start(folder: &Path, names: &Names) -> Result<Servers> {
    let mut nodes: Vec<Redis> = Vec::new();
    for (number, (port, door)) in ports(1 + REPLICAS)?.into_iter().enumerate() {
        // Everybody is told the proxy's address, so that each link between two can be bad.
        let mut more = arguments(&[
            ("--replica-announce-ip", "127.0.0.1"),
            ("--replica-announce-port", &door.to_string()),
            ("--repl-timeout", "10"),
            ("--repl-ping-replica-period", "1"),
        ]);
        if let Some(first) = nodes.first() {
            let of = format!("127.0.0.1 {}", first.proxy.port);
            more.extend(arguments(&[("--replicaof", &of)]));
        }
        let name = format!("redis-{number}");
        let mut node = Redis::new(&name, (port, door), folder, names, &more).await?;
        node.start().await?;
        nodes.push(node);
    }
    let first = nodes.first().map_or(0, |node| node.proxy.port);
    let mut sentinels = Vec::new();
    for (number, port) in free_ports(SENTINELS)?.into_iter().enumerate() {
        sentinels.push(sentinel(number, port, first, folder, names)?);
    }
    let hosts: Vec<String> = sentinels
        .iter()
        .map(|one| format!("127.0.0.1:{}", one.port))
        .collect();
    let servers = Servers {
        topology: Topology::Sentinel,
        url: format!("redis+sentinel://{}/{PRIMARY}", hosts.join(",")),
        nodes,
        sentinels,
        primaries: 1,
        buses: Vec::new(),
    };
    let late = Instant::now() + PATIENCE;
    while let Some(complaint) = complaint(&servers).await {
        if Instant::now() > late {
            bail!(
                "the sentinels of {} are not ready: {complaint}",
                doors(&servers.nodes)
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(servers)
}

fn arguments(pairs: &[(&str, &str)]) -> Vec<String> {
    let words = pairs.iter().flat_map(|(name, value)| [*name, *value]);
    words.map(ToOwned::to_owned).collect()
}

fn sentinel(
    number: usize,
    port: u16,
    primary: u16,
    folder: &Path,
    names: &Names,
) -> Result<Sentinel> {
    let name = format!("sentinel-{number}");
    let data = folder.join(&name);
    fs::create_dir_all(&data)?;
    let file = data.join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor {PRIMARY} 127.0.0.1 {primary} {}\n\
         sentinel down-after-milliseconds {PRIMARY} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {PRIMARY} 6000\n\
         sentinel parallel-syncs {PRIMARY} 2\n",
        data.display(),
        SENTINELS / 2 + 1,
    );
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    let recipe = Recipe {
        program: "redis-server".into(),
        arguments: vec![file.display().to_string(), "--sentinel".to_owned()],
        environment: Vec::new(),
    };
    let mut process = Process::new(&name, recipe, folder, names);
    process.start()?;
    Ok(Sentinel { process, port })
}

/// The address of the primary, by what most sentinels say.
pub(super) async fn primary(sentinels: &[Sentinel]) -> Option<u16> {
    let mut said: Vec<u16> = Vec::new();
    for sentinel in sentinels {
        let words = ["SENTINEL", "get-master-addr-by-name", PRIMARY];
        let answer = resp::ask(sentinel.port, &words).await.ok();
        let port = answer.and_then(|answer| answer.list().get(1)?.text()?.parse::<u16>().ok());
        said.extend(port);
    }
    said.sort_unstable();
    let most = |port: &u16| said.iter().filter(|said| *said == port).count() * 2 > sentinels.len();
    said.iter().copied().find(most)
}

/// What is not as it should be: all sentinels know each other, and all replicas follow the primary.
pub(super) async fn complaint(servers: &Servers) -> Option<String> {
    for sentinel in &servers.sentinels {
        let Ok(answer) = resp::ask(sentinel.port, &["SENTINEL", "master", PRIMARY]).await else {
            return Some(format!("{} does not answer", sentinel.process.name));
        };
        let others = field(&answer, "num-other-sentinels");
        let flags = field(&answer, "flags");
        if flags.as_deref() != Some("master") {
            return Some(format!("{}: {flags:?}", sentinel.process.name));
        }
        if others != Some((SENTINELS - 1).to_string()) {
            return Some(format!("{} knows {others:?} others", sentinel.process.name));
        }
        let words = ["SENTINEL", "replicas", PRIMARY];
        let replicas = resp::ask(sentinel.port, &words).await.ok()?;
        let well = |replica: &&Value| field(replica, "flags").as_deref() == Some("slave");
        if replicas.list().iter().filter(well).count() < REPLICAS {
            return Some(format!("{} misses a replica", sentinel.process.name));
        }
    }
    let door = primary(&servers.sentinels).await?;
    let node = servers.nodes.get(servers.behind(door)?)?;
    let info = node.ask(&["INFO", "replication"]).await.ok()?.text()?;
    let online = info.matches("state=online").count();
    (online < REPLICAS).then(|| format!("{online} replicas are online"))
}

fn field(flat: &Value, name: &str) -> Option<String> {
    let texts = flat.texts();
    let at = texts.iter().step_by(2).position(|text| text == name)?;
    texts.get(at * 2 + 1).cloned()
}

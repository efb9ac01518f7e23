//! What happens to Redis and to what it keeps.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::time::sleep;

use super::{Done, Injector};
use crate::chaos::resp::Value;
use crate::chaos::system::Role;

impl Injector<'_> {
    /// A server that takes writes.
    pub(super) async fn primary(&mut self) -> Result<usize> {
        let all = self.system.servers.primaries().await;
        self.choose(&all).context("no redis takes writes")
    }

    /// Kills a server and starts it again, with or without the end of its log.
    pub(super) async fn kill_redis(&mut self, fsync: &str, cuts: bool) -> Result<Done> {
        let number = self.primary().await?;
        let (share, rests) = (self.random.f64(), self.between(0, 500));
        let node = self.system.servers.node(number)?;
        node.ask(&["CONFIG", "SET", "appendfsync", fsync]).await?;
        if fsync != "always" {
            // What was written before may not be on disk either.
            sleep(Duration::from_millis(1500)).await;
        }
        // What is archived is not taken back; so now and then nothing is.
        let unarchived = cuts && self.random.bool();
        let at = self.recorder.now();
        if unarchived {
            self.archivers(Signal::STOP)?;
            sleep(Duration::from_secs(1)).await;
        }
        let node = self.system.servers.node(number)?;
        node.process.kill();
        if unarchived {
            self.archivers(Signal::CONT)?;
        }
        let node = self.system.servers.node(number)?;
        let mut target = node.process.name.to_string();
        if cuts {
            let cut = node.cut_tail(share)?;
            target = format!("{target} without {cut} bytes");
        }
        sleep(rests).await;
        self.system.servers.node(number)?.start().await?;
        Ok(self.until_now(target, at))
    }

    /// Sends a signal to all archivers.
    pub(super) fn archivers(&mut self, signal: Signal) -> Result<()> {
        for number in self.system.of(Role::Archiver) {
            self.system.member(number)?.process.signal(signal)?;
        }
        Ok(())
    }

    /// Ends all connections that hear publications.
    pub(super) async fn kill_pubsub(&mut self) -> Result<Done> {
        let number = self.primary().await?;
        let at = self.recorder.now();
        let node = self.system.servers.node(number)?;
        let killed = node.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
        let killed = killed.text().unwrap_or_default();
        let target = format!("{killed} connections of {}", node.process.name);
        Ok(self.at_once(target, at))
    }

    /// A server has no memory left for some seconds.
    pub(super) async fn fill_redis(&mut self) -> Result<Done> {
        let number = self.primary().await?;
        let rests = self.between(1000, 4000);
        let at = self.recorder.now();
        let node = self.system.servers.node(number)?;
        let target = node.process.name.to_string();
        node.ask(&["CONFIG", "SET", "maxmemory", "1mb"]).await?;
        sleep(rests).await;
        let node = self.system.servers.node(number)?;
        node.ask(&["CONFIG", "SET", "maxmemory", "0"]).await?;
        Ok(self.until_now(target, at))
    }

    /// Writes rubbish into the log of a partition, where the next event would stand.
    pub(super) async fn poison(&mut self) -> Result<Done> {
        let mut logs = Vec::new();
        for number in self.system.servers.primaries().await {
            let keys = self.system.servers.node(number)?.keys("log:*").await?;
            logs.extend(keys.into_iter().map(|log| (number, log)));
        }
        let (number, log) = self.choose(&logs).context("no partition has a log")?;
        let node = self.system.servers.node(number)?;
        let info = node.ask(&["XINFO", "STREAM", &log]).await?;
        let last = after(&info, "last-generated-id").context("a log without an id")?;
        let epoch = last.split('-').next().unwrap_or_default();
        let kinds: [&[&str]; 3] = [
            &["nonsense", "\u{1}\u{2}"],
            &["room", "no such {room}", "record", "\u{7f}\u{7f}"],
            &["r", "", "d", ""],
        ];
        let fields = self.choose(&kinds).unwrap_or_default();
        let id = format!("{epoch}-*");
        let mut words = vec!["XADD", log.as_str(), id.as_str()];
        words.extend_from_slice(fields);
        let at = self.recorder.now();
        self.system.servers.node(number)?.ask(&words).await?;
        Ok(self.at_once(log, at))
    }

    /// Deletes everything.
    pub(super) async fn flush(&mut self) -> Result<Done> {
        let number = self.primary().await?;
        let at = self.recorder.now();
        let node = self.system.servers.node(number)?;
        node.ask(&["FLUSHALL"]).await?;
        let target = node.process.name.to_string();
        Ok(self.at_once(target, at))
    }
}

/// What stands behind a name in a flat list.
fn after(list: &Value, name: &str) -> Option<String> {
    let list = list.list();
    let at = list
        .iter()
        .position(|value| value.text().as_deref() == Some(name))?;
    list.get(at + 1)?.text()
}

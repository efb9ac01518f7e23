//! Another server takes the place of the primary.

use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Done, Injector};

/// How long a failover may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a primary that nobody watches goes on, beyond the time that it takes to notice.
const LINGERS: Duration = Duration::from_secs(2);

impl Injector<'_> {
    /// Lets replicas lag behind, and kills their primary.
    pub(super) async fn fail_over(&mut self) -> Result<Done> {
        let number = self.primary().await?;
        let lag = self.choose(&[0, 50, 500]).unwrap_or(0);
        let node = self.system.servers.node(number)?;
        let late = Duration::from_millis(lag);
        node.proxy.set("redis", |toxics| toxics.latency = late);
        sleep(late * 2).await;
        // What is archived is not taken back; so now and then nothing is.
        let unarchived = self.random.bool();
        if unarchived {
            self.archivers(Signal::STOP)?;
            sleep(Duration::from_secs(1)).await;
        }
        let at = self.recorder.now();
        let node = self.system.servers.node(number)?;
        node.process.kill();
        node.proxy.reset("redis");
        node.proxy.heal();
        if unarchived {
            self.archivers(Signal::CONT)?;
        }
        let node = self.system.servers.node(number)?;
        let target = format!("{} with a lag of {lag} ms", node.process.name);
        self.succeeded(number).await?;
        self.system.servers.node(number)?.start().await?;
        // What counts is how long nobody could write, from the beginning.
        Ok(self.at_once(target, at))
    }

    /// Cuts the primary off from its replicas and from whoever watches it; our processes reach it
    /// until another has taken its place, and for a while after that.
    pub(super) async fn isolate(&mut self) -> Result<Done> {
        let number = self.primary().await?;
        let at = self.recorder.now();
        self.system.servers.isolate(number, true);
        let succeeded = self.succeeded(number).await;
        sleep(LINGERS).await;
        self.system.servers.isolate(number, false);
        succeeded?;
        // Until it is told otherwise it goes on taking writes.
        let late = Instant::now() + PATIENCE;
        while Instant::now() < late && self.system.servers.node(number)?.is_primary().await {
            sleep(Duration::from_millis(50)).await;
        }
        let target = self.system.servers.node(number)?.process.name.to_string();
        Ok(self.until_now(target, at))
    }

    /// Waits until somebody else takes the writes of a server.
    async fn succeeded(&self, number: usize) -> Result<()> {
        let servers = &self.system.servers;
        let late = Instant::now() + PATIENCE;
        while Instant::now() < late {
            let primaries = servers.primaries().await;
            let others = primaries.iter().filter(|other| **other != number).count();
            if others >= servers.primaries {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("nobody takes the place of redis-{number}");
    }
}

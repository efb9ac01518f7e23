//! Links that are slow, lossy, dead or reset.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{Done, Injector};
use crate::chaos::proxy::toxics::Toxics;
use crate::chaos::system::Role;

impl Injector<'_> {
    /// Loses part of the publications on the way to a gateway.
    pub(super) async fn drop_publications(&mut self) -> Result<Done> {
        let share = self.choose(&[0.02, 0.2, 1.0]).unwrap_or(0.2);
        let rests = self.between(1000, 4000);
        let name = self.name_of(Role::Gateway)?;
        let target = format!("{:.0} % on the way to {name}", share * 100.0);
        self.bad(&name, rests, target, move |toxics| toxics.dropped = share)
            .await
    }

    /// Everything between Redis and all others takes longer.
    pub(super) async fn latency(&mut self) -> Result<Done> {
        let (late, rests) = (self.between(50, 150), self.between(2000, 4000));
        let target = format!("{late:?} and up to 50 ms more");
        self.bad("", rests, target, move |toxics| {
            toxics.latency = late / 2;
            toxics.jitter = Duration::from_millis(25);
        })
        .await
    }

    /// The link between a gateway and Redis is slow.
    pub(super) async fn slow_link(&mut self) -> Result<Done> {
        let rests = self.between(2000, 4000);
        let name = self.name_of(Role::Gateway)?;
        let target = format!("64 KB/s to {name}");
        let slow = |toxics: &mut Toxics| toxics.bandwidth = Some(64_000);
        self.bad(&name, rests, target, slow).await
    }

    /// Nothing passes between Redis and one process, of one of these kinds.
    pub(super) async fn black_hole(&mut self, roles: &[Role]) -> Result<Done> {
        let role = self.choose(roles).context("no kinds")?;
        let rests = self.between(3000, 8000);
        let name = self.name_of(role)?;
        let target = format!("{name} for {:.1} s", rests.as_secs_f64());
        self.bad(&name, rests, target, |toxics| toxics.black_hole = true)
            .await
    }

    /// Nothing passes between a gateway and its clients.
    pub(super) async fn client_black_hole(&mut self) -> Result<Done> {
        let rests = self.between(3000, 8000);
        let number = self.random.usize(0..self.system.proxies.len().max(1));
        let at = self.recorder.now();
        let proxy = self.system.proxies.get(number).context("no gateway")?;
        proxy.set("", |toxics| toxics.black_hole = true);
        sleep(rests).await;
        proxy.heal();
        let seconds = rests.as_secs_f64();
        let target = format!("clients of gateway-{number} for {seconds:.1} s");
        Ok(self.until_now(target, at))
    }

    /// Resets all connections of a process, or of all, to Redis.
    pub(super) async fn reset(&mut self) -> Result<Done> {
        let role = self.choose(&Role::ALL).context("no roles")?;
        let all = self.random.bool();
        let name = if all {
            String::new()
        } else {
            self.name_of(role)?
        };
        let at = self.recorder.now();
        for node in &self.system.servers.nodes {
            node.proxy.reset(&name);
        }
        let target = if all { "all".to_owned() } else { name };
        Ok(self.at_once(target, at))
    }

    /// Cuts all clients of a gateway at once.
    pub(super) async fn storm(&mut self) -> Result<Done> {
        let number = self.random.usize(0..self.system.proxies.len().max(1));
        let at = self.recorder.now();
        let proxy = self.system.proxies.get(number).context("no gateway")?;
        proxy.reset("");
        Ok(self.at_once(format!("clients of gateway-{number}"), at))
    }

    /// Makes all links of whoever's name begins so bad for a time.
    async fn bad(
        &mut self,
        whose: &str,
        rests: Duration,
        target: String,
        change: impl Fn(&mut Toxics) + Copy,
    ) -> Result<Done> {
        let at = self.recorder.now();
        for node in &self.system.servers.nodes {
            node.proxy.set(whose, change);
        }
        sleep(rests).await;
        for node in &self.system.servers.nodes {
            node.proxy.heal();
        }
        Ok(self.until_now(target, at))
    }

    fn name_of(&mut self, role: Role) -> Result<String> {
        let number = self.one_of(role)?;
        Ok(self.system.member(number)?.process.name.to_string())
    }
}

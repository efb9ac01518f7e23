//! Our own processes, killed, stopped, replaced, and lied to about the time.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Done, Injector};
use crate::chaos::http;
use crate::chaos::system::Role;

/// How long a process that is asked to end, or started, may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl Injector<'_> {
    /// Kills one of a kind. It is started again after a moment, or only when the others have
    /// shown that they can do without it.
    pub(super) async fn kill(&mut self, role: Role) -> Result<Done> {
        let number = self.one_of(role)?;
        let stays_down = self.random.bool();
        let rests = self.between(0, 1000);
        let at = self.recorder.now();
        let member = self.system.member(number)?;
        member.process.kill();
        let target = member.process.name.to_string();
        let mut done = self.at_once(target, at);
        if stays_down {
            done.down.push(number);
        } else {
            sleep(rests).await;
            self.system.member(number)?.process.start()?;
        }
        Ok(done)
    }

    /// Stops one of a kind, so that it neither works nor goes away, and lets it go on.
    pub(super) async fn pause(&mut self, role: Role) -> Result<Done> {
        let number = self.one_of(role)?;
        let most = u64::try_from(self.patience.as_millis())?;
        // Most pauses are short; some are longer than any lease.
        let rests = if self.random.u8(0..4) == 0 {
            self.between(most / 2, most)
        } else {
            self.between(1000, 6000.min(most))
        };
        let at = self.recorder.now();
        let process = &mut self.system.member(number)?.process;
        process.signal(Signal::STOP)?;
        let target = format!("{} for {:.1} s", process.name, rests.as_secs_f64());
        sleep(rests).await;
        self.system.member(number)?.process.signal(Signal::CONT)?;
        Ok(self.until_now(target, at))
    }

    /// Replaces a gateway, as an upgrade does.
    pub(super) async fn roll(&mut self) -> Result<Done> {
        let number = self.one_of(Role::Gateway)?;
        let at = self.recorder.now();
        self.restart(number).await?;
        let target = self.system.member(number)?.process.name.to_string();
        Ok(self.until_now(target, at))
    }

    /// Asks a process to end, and starts it again.
    async fn restart(&mut self, number: usize) -> Result<()> {
        let process = &mut self.system.member(number)?.process;
        process.wanted = false;
        process.signal(Signal::TERM)?;
        let late = Instant::now() + PATIENCE;
        while process.ended().is_none() {
            if Instant::now() > late {
                bail!("{} does not end when it is asked to", process.name);
            }
            sleep(Duration::from_millis(10)).await;
        }
        process.bury();
        process.start()
    }

    /// Starts a process again with a clock that is off, lets it jump, and starts it again with a
    /// clock that is right.
    pub(super) async fn clock(&mut self) -> Result<Done> {
        let library = faketime().context("libfaketime is not installed")?;
        let role = self.choose(&Role::ALL).context("no roles")?;
        let number = self.one_of(role)?;
        let offsets = ["+3600s", "-3600s", "+90s", "-90s"];
        let [first, second] = [(); 2].map(|()| self.choose(&offsets).unwrap_or("+1s"));
        let at = self.recorder.now();
        let file = self.system.folder.join(format!("clock-{number}"));
        fs::write(&file, first)?;
        let process = &mut self.system.member(number)?.process;
        let target = format!("{} by {first}, then {second}", process.name);
        process.recipe.environment = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        self.restart(number).await?;
        self.ready(number).await;
        sleep(Duration::from_secs(1)).await;
        fs::write(&file, second)?;
        sleep(Duration::from_secs(2)).await;
        let process = &mut self.system.member(number)?.process;
        process.recipe.environment.clear();
        self.restart(number).await?;
        Ok(self.until_now(target, at))
    }

    /// Waits for a process to be ready, if it will be.
    async fn ready(&self, number: usize) {
        let Some(admin) = self.system.members.get(number).map(|member| member.admin) else {
            return;
        };
        let late = Instant::now() + PATIENCE;
        while Instant::now() < late {
            let status = http::status(admin, "/ready", Duration::from_millis(500)).await;
            if status.is_ok_and(|status| status == 200) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn one_of(&mut self, role: Role) -> Result<usize> {
        let all = self.system.of(role);
        self.choose(&all).context("none of this kind")
    }
}

/// The library that lies about the time, if it is installed.
pub(super) fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
}

//! A whole system of our own, pinned to one core: a Redis that writes to disk every second, a
//! gateway or several, and a worker of each kind.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::args::Bench;
use super::cpu::{Watched, on_core};
use crate::account::run_name;
use crate::chaos::{Names, Process, Recipe, free_ports, ready};

/// How long all of it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kinds of worker.
const WORKERS: [&str; 3] = ["fanout", "presence", "archiver"];

/// A system. It ends with this value.
pub(crate) struct System {
    folder: PathBuf,
    /// Where its gateways are.
    pub urls: Vec<String>,
    /// The file of its tokens' secret.
    pub secret: PathBuf,
    /// What each is, and where it tells how it is; Redis does not.
    members: Vec<(&'static str, Process, Option<u16>)>,
}

impl System {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// If something does not start; the logs are in the folder.
    pub async fn start(bench: &Bench) -> Result<Self> {
        let below = bench.folder.clone().unwrap_or_else(env::temp_dir);
        let name = format!("chinwag-bench-{}-{}", run_name(), std::process::id());
        let folder = below.join(name);
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
        let secret = folder.join("token.secret");
        // Nobody else reaches this system, and it lives for a minute.
        fs::write(&secret, "a secret of a benchmark is no secret\n")?;
        let mut system = Self {
            folder,
            urls: Vec::new(),
            secret,
            members: Vec::new(),
        };
        let redis = system.redis(&data)?;
        for _ in 0..bench.gateways.max(1) {
            system.add("gateway", bench, &redis)?;
        }
        for role in WORKERS {
            for _ in 0..bench.workers {
                system.add(role, bench, &redis)?;
            }
        }
        on_core(bench.servers_core(), || {
            let mut processes = system.members.iter_mut().map(|(_, process, _)| process);
            processes.try_for_each(Process::start)
        })?;
        system.wait().await?;
        Ok(system)
    }

    fn redis(&mut self, data: &Path) -> Result<u16> {
        let [port] = free_ports(1)?[..] else {
            bail!("no port is free");
        };
        let (port_text, data) = (port.to_string(), data.display().to_string());
        let arguments = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--dir",
            &data,
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--maxmemory-policy",
            "noeviction",
            "--auto-aof-rewrite-percentage",
            "0",
            "--maxclients",
            "10000",
        ];
        self.put(
            "redis",
            "redis-server".into(),
            arguments.map(ToOwned::to_owned).into(),
            None,
        );
        Ok(port)
    }

    fn add(&mut self, role: &'static str, bench: &Bench, redis: &u16) -> Result<()> {
        let [admin, public] = free_ports(2)?[..] else {
            bail!("no ports are free");
        };
        let data = self.folder.join("data");
        let mut arguments = vec![role.to_owned()];
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--redis", format!("redis://127.0.0.1:{redis}"));
        add("--admin-listen", format!("127.0.0.1:{admin}"));
        add("--data", data.display().to_string());
        add("--set", "log.level=warn".to_owned());
        if matches!(role, "gateway" | "archiver") {
            let own = format!("sqlite:{}", data.join("archive.sqlite").display());
            add("--archive", bench.archive.clone().unwrap_or(own));
        }
        if role == "gateway" {
            add("--listen", format!("127.0.0.1:{public}"));
            let secret = self.secret.display();
            add("--set", format!("token.hmac_secret_file={secret}"));
            // What keeps one client from taking too much: here one takes all that there is.
            add("--set", "gateway.commands_per_second=0".to_owned());
            add("--set", "gateway.connects_per_second=0".to_owned());
            self.urls.push(format!("http://127.0.0.1:{public}"));
        }
        for setting in &bench.settings {
            let (section, _) = setting.split_once('.').unwrap_or_default();
            // Those of another kind of process would be refused.
            if !["gateway", "fanout", "presence", "archiver"].contains(&section) || section == role
            {
                add("--set", setting.clone());
            }
        }
        let program = match &bench.program {
            Some(program) => program.clone(),
            None => env::current_exe().context("find this program")?,
        };
        self.put(role, program, arguments, Some(admin));
        Ok(())
    }

    fn put(
        &mut self,
        role: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        admin: Option<u16>,
    ) {
        let recipe = Recipe {
            program,
            arguments,
            environment: Vec::new(),
        };
        let name = format!("{role}-{}", self.members.len());
        let process = Process::new(&name, recipe, &self.folder, &Names::default());
        self.members.push((role, process, admin));
    }

    async fn wait(&mut self) -> Result<()> {
        let late = Instant::now() + PATIENCE;
        for (_, process, admin) in &mut self.members {
            while let Some(admin) = *admin
                && !ready(admin).await
            {
                if !process.runs() || Instant::now() > late {
                    let folder = self.folder.display();
                    bail!("{} is not ready; see the logs in {folder}", process.name);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// All its processes.
    pub fn watched(&self) -> Vec<Watched> {
        let watched = self.members.iter().filter_map(|(role, process, _)| {
            Some(Watched {
                name: (*role).to_owned(),
                pid: process.id()?,
            })
        });
        watched.collect()
    }

    /// Ends it; its folder goes too, unless it is to be kept.
    pub fn end(mut self, keep: bool) {
        self.members.clear();
        if keep {
            crate::play::say(&format!("kept: {}", self.folder.display()));
        } else if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "{} stays", self.folder.display());
        }
    }
}

//! A whole system of our own: Redis, an archive, and several of each process.

mod disk;
mod doors;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

pub(crate) use disk::Disk;
pub(crate) use doors::Doors;

use crate::chaos::http;
use crate::chaos::process::{Names, Process, Recipe, free_ports};
use crate::chaos::proxy::Proxy;
use crate::chaos::topology::{Servers, Topology};

/// How long a process may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kinds of process of a system, in the order in which they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Fanout,
    Presence,
    Archiver,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Fanout, Self::Presence, Self::Archiver];

    /// The subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Fanout => "fanout",
            Self::Presence => "presence",
            Self::Archiver => "archiver",
        }
    }
}

/// One of our processes.
pub(crate) struct Member {
    pub role: Role,
    pub process: Process,
    /// Where it tells how it is.
    pub admin: u16,
    /// Where clients connect; 0 if they do not.
    pub public: u16,
}

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub folder: PathBuf,
    pub topology: Topology,
    pub archive: Option<String>,
    pub gateways: usize,
    /// Of each kind of worker.
    pub workers: usize,
}

/// A whole system. It ends with this value.
pub(crate) struct System {
    pub folder: PathBuf,
    pub members: Vec<Member>,
    pub servers: Servers,
    pub disk: Disk,
    pub doors: Doors,
    /// What clients connect to, one before each gateway.
    pub proxies: Vec<Proxy>,
    /// Processes that ended without being asked to, with how, and how often.
    pub ended: BTreeMap<String, u64>,
}

impl System {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// If something does not start; the logs are in the folder.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let names = Names::default();
        let disk = Disk::make(&plan.folder, plan.archive.as_deref())?;
        let servers = Servers::start(plan.topology, &plan.folder, &names).await?;
        let mut members = Vec::new();
        for role in Role::ALL {
            let count = if role == Role::Gateway {
                plan.gateways
            } else {
                plan.workers
            };
            for number in 0..count {
                members.push(member(role, number, plan, &servers.url, &disk, &names)?);
            }
        }
        for member in &mut members {
            member.process.start()?;
        }
        let gateways = members.iter().filter(|member| member.role == Role::Gateway);
        let doors = Doors::watch(
            gateways
                .map(|member| (member.public, member.admin))
                .collect(),
        );
        let mut proxies = Vec::new();
        for (number, port) in free_ports(plan.gateways)?.into_iter().enumerate() {
            proxies.push(Proxy::start(port, doors.from(number), &names).await?);
        }
        let mut system = Self {
            folder: plan.folder.clone(),
            members,
            servers,
            disk,
            doors,
            proxies,
            ended: BTreeMap::new(),
        };
        let late = Instant::now() + PATIENCE;
        while let Some(complaint) = system.complaint().await {
            if Instant::now() > late {
                bail!("{complaint}; see the logs in {}", plan.folder.display());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(system)
    }

    /// What is not as it should be: the first process that is not ready. Those that have ended
    /// and should run are started again, as a supervisor does.
    pub async fn complaint(&mut self) -> Option<String> {
        self.supervise();
        for member in self.members.iter().filter(|member| member.process.wanted) {
            let is_ready = http::status(member.admin, "/ready", Duration::from_millis(500)).await;
            if !is_ready.is_ok_and(|status| status == 200) {
                return Some(format!("{} is not ready", member.process.name));
            }
        }
        self.servers.complaint().await
    }

    /// Starts again what has ended and should run.
    pub fn supervise(&mut self) {
        for member in &mut self.members {
            let process = &mut member.process;
            if !process.wanted {
                continue;
            }
            if let Some(how) = process.bury() {
                let ended = format!("{}: {how}", process.name);
                *self.ended.entry(ended).or_default() += 1;
            }
            if let Err(error) = process.start() {
                tracing::error!(%error, "cannot be started again");
            }
        }
    }

    /// The numbers of those of a kind.
    pub fn of(&self, role: Role) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        let of = members.filter(|(_, member)| member.role == role);
        of.map(|(number, _)| number).collect()
    }

    /// One of ours by its number.
    ///
    /// # Errors
    /// If there is none.
    pub fn member(&mut self, number: usize) -> Result<&mut Member> {
        self.members.get_mut(number).context("no such process")
    }

    /// The ports of all gateways, past their proxies.
    pub fn gateways(&self) -> Vec<u16> {
        let ports = self.members.iter().map(|member| member.public);
        ports.filter(|port| *port > 0).collect()
    }

    /// Everything that was made worse and can be made well by us is well again.
    pub fn heal(&self) {
        let redis = self.servers.nodes.iter().map(|node| &node.proxy);
        redis.chain(&self.proxies).for_each(Proxy::heal);
    }
}

fn member(
    role: Role,
    number: usize,
    plan: &Plan,
    redis: &str,
    disk: &Disk,
    names: &Names,
) -> Result<Member> {
    let [admin, public] = free_ports(2)?[..] else {
        bail!("too few ports");
    };
    let public = if role == Role::Gateway { public } else { 0 };
    let name = format!("{}-{number}", role.name());
    let data = plan.folder.join("data");
    let mut arguments = vec![role.name().to_owned()];
    let mut add = |flag: &str, value: &str| {
        arguments.extend([flag.to_owned(), value.to_owned()]);
    };
    add("--redis", redis);
    add("--admin-listen", &format!("127.0.0.1:{admin}"));
    add("--data", &data.display().to_string());
    let mut settings = vec!["log.level=info"];
    if role == Role::Gateway {
        add("--listen", &format!("127.0.0.1:{public}"));
        // So that clients notice soon what is silent; phones would be asked less often.
        settings.extend([
            "gateway.ping_interval_ms=2000",
            "gateway.pong_timeout_ms=1500",
        ]);
        settings.push("gateway.drain_seconds=2");
    }
    if matches!(role, Role::Gateway | Role::Archiver) {
        add("--archive", disk.archive());
    }
    for setting in settings {
        add("--set", setting);
    }
    let recipe = Recipe {
        program: env::current_exe().context("find this program")?,
        arguments,
        environment: Vec::new(),
    };
    Ok(Member {
        role,
        process: Process::new(&name, recipe, &plan.folder, names),
        admin,
        public,
    })
}

/// A new folder for one run.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn folder(below: Option<&Path>, run: &str) -> Result<PathBuf> {
    let below = below.map_or_else(env::temp_dir, Path::to_owned);
    // Two runs may begin in the same millisecond, and must not meet in one folder.
    let folder = below.join(format!("chinwag-chaos-{run}-{}", std::process::id()));
    let making = || format!("make {}", folder.display());
    std::fs::create_dir_all(&below).with_context(making)?;
    std::fs::create_dir(&folder).with_context(making)?;
    std::fs::create_dir(folder.join("data")).with_context(making)?;
    Ok(folder)
}

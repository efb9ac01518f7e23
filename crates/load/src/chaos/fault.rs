//! The faults: what each does, to whom, and what is expected of it.

mod disk;
mod failover;
mod links;
mod processes;
mod redis;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::chaos::recorder::Recorder;
use crate::chaos::system::{Role, System};
use crate::chaos::topology::Topology;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Fault {
    /// A gateway is killed (SIGKILL), and started again
    GatewayKill,
    /// A fan-out worker is killed; it is started again at once, or only after the other took over
    FanoutKill,
    /// A presence worker is killed
    PresenceKill,
    /// An archiver is killed
    ArchiverKill,
    /// A gateway stands still (SIGSTOP) for some seconds, also for longer than its lease
    GatewayPause,
    /// A fan-out worker stands still
    FanoutPause,
    /// A presence worker stands still
    PresencePause,
    /// An archiver stands still
    ArchiverPause,
    /// A gateway is asked to end (SIGTERM), and started again: a rolling upgrade
    GatewayRoll,
    /// Redis is killed and started again; what it answered is on disk (appendfsync always)
    RedisKill,
    /// Redis is killed and started again, with appendfsync everysec
    RedisKillEverysec,
    /// Redis is killed and has lost the end of its log
    RedisTail,
    /// The primary is killed while its replicas lag behind, and a replica takes its place
    RedisFailover,
    /// The primary loses its replicas and whoever watches it, while gateways still reach it
    RedisIsolated,
    /// Redis ends all connections that hear publications
    PubsubKill,
    /// Part of the publications is lost between Redis and a gateway
    PubsubDrop,
    /// Everything between Redis and all others takes 50 to 200 ms longer
    Latency,
    /// The link between Redis and a gateway is slow
    SlowLink,
    /// Nothing passes between Redis and a gateway for some seconds, and nobody is told
    GatewayBlackHole,
    /// The same between Redis and all workers of a kind
    WorkerBlackHole,
    /// The same between a gateway and its clients
    ClientBlackHole,
    /// Connections to Redis are reset
    RedisReset,
    /// All clients of a gateway lose their connection at once, and come back at once
    ClientStorm,
    /// A process is started again with a clock that is an hour off, and that jumps while it runs
    Clock,
    /// Redis has no memory left
    RedisFull,
    /// The archive's disk has no room left
    DiskFull,
    /// Rubbish stands in the log of a partition
    Poison,
    /// All that Redis has is deleted. Accounts and memberships are there only, so that no client
    /// can come back: made only if it is asked for
    Flush,
}

/// What a fault was.
pub(crate) struct Done {
    pub target: String,
    /// When it began, and when it was over as far as we are concerned.
    pub at: u64,
    pub until: u64,
    /// Processes to start again once the system has shown that it can do without.
    pub down: Vec<usize>,
}

/// Whoever makes faults.
pub(crate) struct Injector<'a> {
    pub system: &'a mut System,
    pub recorder: &'a Recorder,
    pub random: &'a mut fastrand::Rng,
    /// Longest time that a process stands still.
    pub patience: Duration,
}

impl Fault {
    /// Its name, as on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Whether Redis may have lost the end of its log by it.
    #[must_use]
    pub fn takes_back(self) -> bool {
        matches!(
            self,
            Self::RedisKillEverysec
                | Self::RedisTail
                | Self::RedisFailover
                | Self::RedisIsolated
                | Self::Flush
        )
    }

    /// How soon after it everything is to work again.
    #[must_use]
    pub fn aim(self) -> Duration {
        let seconds = match self {
            Self::GatewayKill | Self::GatewayRoll | Self::ClientStorm => 3,
            Self::RedisKill | Self::RedisKillEverysec | Self::RedisTail => 2,
            Self::GatewayPause | Self::ClientBlackHole => 10,
            Self::RedisFailover | Self::RedisIsolated => 12,
            Self::Clock | Self::Flush => 10,
            _ => 6,
        };
        Duration::from_secs(seconds)
    }

    /// Whether it is made without being asked for.
    pub(crate) fn is_usual(self) -> bool {
        self != Self::Flush
    }

    /// Whether it is recovered from when messages are archived again, not only delivered.
    pub(crate) fn is_about_the_archive(self) -> bool {
        matches!(
            self,
            Self::ArchiverKill | Self::ArchiverPause | Self::DiskFull | Self::WorkerBlackHole
        )
    }

    /// Why it cannot be made here, if so.
    pub(crate) fn impossible(self, system: &System) -> Option<&'static str> {
        let topology = system.servers.topology;
        let alone = matches!(topology, Topology::Standalone | Topology::Map);
        match self {
            Self::RedisFailover | Self::RedisIsolated if alone => Some("nobody takes its place"),
            Self::DiskFull if !system.disk.can_be_full() => {
                Some("mounting a small disk for the archive takes root")
            }
            Self::Clock if processes::faketime().is_none() => {
                Some("libfaketime is not installed (apt-get install faketime)")
            }
            _ => None,
        }
    }

    /// Does it, and undoes it.
    ///
    /// # Errors
    /// If it cannot be done, which says nothing about the system.
    pub(crate) async fn inject(self, injector: &mut Injector<'_>) -> Result<Done> {
        match self {
            Self::GatewayKill => injector.kill(Role::Gateway).await,
            Self::FanoutKill => injector.kill(Role::Fanout).await,
            Self::PresenceKill => injector.kill(Role::Presence).await,
            Self::ArchiverKill => injector.kill(Role::Archiver).await,
            Self::GatewayPause => injector.pause(Role::Gateway).await,
            Self::FanoutPause => injector.pause(Role::Fanout).await,
            Self::PresencePause => injector.pause(Role::Presence).await,
            Self::ArchiverPause => injector.pause(Role::Archiver).await,
            Self::GatewayRoll => injector.roll().await,
            Self::Clock => injector.clock().await,
            Self::RedisKill => injector.kill_redis("always", false).await,
            Self::RedisKillEverysec => injector.kill_redis("everysec", false).await,
            Self::RedisTail => injector.kill_redis("always", true).await,
            Self::RedisFailover => injector.fail_over().await,
            Self::RedisIsolated => injector.isolate().await,
            Self::PubsubKill => injector.kill_pubsub().await,
            Self::PubsubDrop => injector.drop_publications().await,
            Self::Latency => injector.latency().await,
            Self::SlowLink => injector.slow_link().await,
            Self::GatewayBlackHole => injector.black_hole(&[Role::Gateway]).await,
            Self::WorkerBlackHole => {
                let roles = [Role::Fanout, Role::Presence, Role::Archiver];
                injector.black_hole(&roles).await
            }
            Self::ClientBlackHole => injector.client_black_hole().await,
            Self::RedisReset => injector.reset().await,
            Self::ClientStorm => injector.storm().await,
            Self::RedisFull => injector.fill_redis().await,
            Self::DiskFull => injector.fill_disk().await,
            Self::Poison => injector.poison().await,
            Self::Flush => injector.flush().await,
        }
    }
}

impl Injector<'_> {
    /// One of several.
    fn choose<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        self.random.choice(from).cloned()
    }

    /// A time between two.
    fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(self.random.u64(least_ms..=most_ms))
    }

    /// Something that was over the moment it was done.
    fn at_once(&self, target: impl Into<String>, at: u64) -> Done {
        Done {
            target: target.into(),
            at,
            until: at,
            down: Vec::new(),
        }
    }

    /// Something that is over now.
    fn until_now(&self, target: impl Into<String>, at: u64) -> Done {
        let until = self.recorder.now();
        Done {
            until,
            ..self.at_once(target, at)
        }
    }
}

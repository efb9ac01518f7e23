//! The command line.
//!
//! Flags are only taken down here; what they mean is for the settings to say, which know each by
//! the key it stands for.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::Role;

/// A self-hosted chat backend on Redis.
///
/// Accounts, rooms, durable and ordered messages, presence and history, pushed in real time over
/// WebSockets. `chinwag up` runs everything in one process, with a Redis of its own. To scale, run
/// the four parts as processes of their own, each any number of times, against one Redis.
#[derive(Debug, Parser)]
#[command(name = "chinwag", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// `load --chaos` is the same as `load chaos`, and `load --shape` as `load bench --shape`: people
/// say it so.
pub fn spelled_out(line: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut loads = false;
    line.enumerate().flat_map(move |(place, word)| {
        loads |= place == 1 && word == "load";
        let is_shape = word
            .to_str()
            .is_some_and(|word| word.starts_with("--shape"));
        match loads && place == 2 {
            true if word == "--chaos" => vec!["chaos".into()],
            true if is_shape => vec!["bench".into(), word],
            _ => vec![word],
        }
    })
}

const EXAMPLES: &str = "\
Examples:
  chinwag up                                      a whole chat, data in ./.chinwag
  chinwag up --data /var/lib/chinwag --listen 0.0.0.0:8000
  chinwag gateway --redis redis://10.0.0.5:6379 --archive postgres://chinwag@10.0.0.6/chinwag
  chinwag config default > chinwag.toml           a file to begin with

Settings come from a file (--config), the environment (CHINWAG_GATEWAY_LISTEN for gateway.listen)
and flags; each is stronger than the one before. `chinwag config doc` describes all of them.

Exit codes: 0 stopped in good order, 64 wrong settings or arguments, 69 Redis or the archive cannot
be used, 70 an internal failure.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in this one process: a private Redis, an embedded archive and all four parts
    ///
    /// The private redis-server is a child of this process, reachable only through a socket in the
    /// data folder. With --redis a Redis that runs elsewhere is used instead. Ctrl-C or SIGTERM
    /// ends everything in good order; a second one ends it at once.
    #[command(after_help = UP_EXAMPLES)]
    Up(Public),
    /// Run a gateway: where clients connect
    ///
    /// Serves the chat page, the HTTP API, the WebSocket endpoint and the server API. Needs the
    /// Redis and the archive that the other processes use.
    #[command(after_help = GATEWAY_EXAMPLES)]
    Gateway(Public),
    /// Run a fan-out worker: tells members who are online but not listening
    ///
    /// Workers of one kind share the partitions of the message log; start as many as you like.
    #[command(after_help = FANOUT_EXAMPLES)]
    Fanout(Common),
    /// Run a presence worker: who is online
    ///
    /// Takes in what gateways report, and sweeps away the sessions of gateways that died.
    #[command(after_help = PRESENCE_EXAMPLES)]
    Presence(Common),
    /// Run an archiver: moves the message log into the archive
    ///
    /// Nothing leaves Redis before it is archived. Archivers share the partitions of the log.
    #[command(after_help = ARCHIVER_EXAMPLES)]
    Archiver(Common),
    /// Measure a running system from outside: throughput, latency, and whether anything was lost
    #[command(after_help = LOAD_EXAMPLES)]
    Load(chinwag_load::Load),
    /// Show, check or describe settings
    #[command(subcommand)]
    Config(Config),
}

const UP_EXAMPLES: &str = "\
Examples:
  chinwag up
  chinwag up --data /var/lib/chinwag --listen 0.0.0.0:8000 --log-level debug
  chinwag up --redis redis://127.0.0.1:6379 --set account.registration=closed";
const GATEWAY_EXAMPLES: &str = "\
Examples:
  chinwag gateway --redis redis://127.0.0.1:6379
  chinwag gateway --config chinwag.toml --listen 0.0.0.0:8001 --admin-listen 0.0.0.0:9001";
const FANOUT_EXAMPLES: &str = "\
Example, the second of its kind on one host:
  chinwag fanout --redis redis://127.0.0.1:6379 --admin-listen 127.0.0.1:9011";

const PRESENCE_EXAMPLES: &str = "\
Example, the second of its kind on one host:
  chinwag presence --redis redis://127.0.0.1:6379 --admin-listen 127.0.0.1:9011";

const ARCHIVER_EXAMPLES: &str = "\
Example, the second of its kind on one host:
  chinwag archiver --redis redis://127.0.0.1:6379 --admin-listen 127.0.0.1:9011";

const LOAD_EXAMPLES: &str = "\
Examples:
  chinwag load steady --rooms 10 --members 5 --rate 100 --seconds 10 --html report.html
  chinwag load storm --rooms 100 --members 10 --url http://127.0.0.1:8000 --url http://127.0.0.1:8001
  chinwag load hot --members 2000 --token-secret-file .chinwag/token.secret
  chinwag load idle --connections 1000
  chinwag load --shape s1,s2 --start --repeat 3
  chinwag load --chaos --short
  chinwag load --chaos --topology sentinel --injections 20 --faults redis-failover,gateway-kill

Messages are sent by a schedule that does not wait for the server, and times count from when each
message was due. What clients saw is checked at the end against the rooms' histories.

Exit codes: 0 all promises kept, 1 some broken, 64 wrong arguments, 70 the system cannot be used.";

/// What `chinwag config` does.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print a file of all settings with their defaults
    Default,
    /// Check a file, and the environment with it; says all problems at once
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the reference of all settings, in Markdown
    Doc,
}

/// The flags of all subcommands that run.
#[derive(Debug, Args)]
pub struct Common {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE", env = crate::settings::environment::CONFIG)]
    pub config: Option<PathBuf>,
    /// Folder for what this host keeps [data.dir, default .chinwag]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The Redis that all processes share [redis.url]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Where events are kept for good: sqlite:PATH or postgres://... [archive.url]
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    /// Address of /live, /ready and /metrics [admin.listen, default 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Which log lines are written [log.level, default info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any setting by its key; may be given several times
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

/// The flags of those where clients connect.
#[derive(Debug, Args)]
pub struct Public {
    /// Where clients connect [gateway.listen, default 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A flag that was given: its name, the key it stands for, its value.
pub type Flag<'a> = (&'static str, &'static str, &'a str);

impl Common {
    fn flags(&self) -> impl Iterator<Item = Flag<'_>> {
        [
            ("--data", "data.dir", &self.data),
            ("--redis", "redis.url", &self.redis),
            ("--archive", "archive.url", &self.archive),
            ("--admin-listen", "admin.listen", &self.admin_listen),
            ("--log-level", "log.level", &self.log_level),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.as_deref()?)))
    }
}

/// A subcommand that runs, with its flags.
#[derive(Debug)]
pub struct Run {
    /// Which.
    pub role: Role,
    /// The flags of all of them.
    pub common: Common,
    listen: Option<String>,
}

impl Run {
    /// Of one where clients connect.
    pub fn public(role: Role, public: Public) -> Self {
        Self {
            role,
            common: public.common,
            listen: public.listen,
        }
    }

    /// Of a worker.
    pub fn worker(role: Role, common: Common) -> Self {
        Self {
            role,
            common,
            listen: None,
        }
    }

    /// All flags that stand for one key.
    pub fn flags(&self) -> impl Iterator<Item = Flag<'_>> {
        let listen = self
            .listen
            .as_deref()
            .map(|value| ("--listen", "gateway.listen", value));
        self.common.flags().chain(listen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_stands_for_a_key() {
        let line = "chinwag up --data d --redis r --archive a --admin-listen b --log-level l \
                    --listen c --set x.y=z --set x.y=z";
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Up(public) = arguments.command else {
            panic!("not up")
        };
        let run = Run::public(Role::Up, public);
        let keys: Vec<&str> = run.flags().map(|(_, key, _)| key).collect();
        assert_eq!(keys.len(), 6);
        keys.iter()
            .for_each(|key| assert!(table::find(key).is_ok(), "{key}"));
        assert_eq!(run.common.set.len(), 2);
    }

    #[test]
    fn workers_have_no_public_address() {
        assert!(Arguments::try_parse_from(["chinwag", "fanout", "--listen", "x"]).is_err());
    }
}

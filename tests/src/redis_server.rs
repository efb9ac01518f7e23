//! Real Redis servers on loopback, each in a folder of its own and ended with its value: what
//! sentinels, clusters and partition maps are made of.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How long servers may take to agree on something.
const PATIENCE: Duration = Duration::from_secs(30);

/// A redis-server that listens on a port of 127.0.0.1. Everything it has ends when this value is
/// dropped, also when a test fails.
pub struct Server {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts one that has on disk what it has answered, with settings on top (`--name value`),
    /// and waits until it answers.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(settings: &[&str]) -> Result<Self> {
        let mut server = Self::prepare()?;
        server.arguments.extend(words(
            "--bind 127.0.0.1 --save \"\" --appendonly yes --appendfsync always \
             --maxmemory-policy noeviction --repl-diskless-sync-delay 0",
        ));
        server
            .arguments
            .extend(["--port".to_owned(), server.port.to_string()]);
        for setting in settings {
            server.arguments.extend(words(setting));
        }
        server.restart()?;
        Ok(server)
    }

    /// Starts a sentinel. It writes its own settings, so it has them in a file.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn sentinel(settings: &str) -> Result<Self> {
        let mut server = Self::prepare()?;
        let file = server.folder.path().join("sentinel.conf");
        let port = server.port;
        std::fs::write(&file, format!("bind 127.0.0.1\nport {port}\n{settings}"))?;
        server.arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        server.restart()?;
        Ok(server)
    }

    fn prepare() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chinwag-redis-")
            .tempdir()?;
        Ok(Self {
            folder,
            port: free_port()?,
            arguments: Vec::new(),
            child: None,
        })
    }

    /// Starts it again on the same data and port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let log = std::fs::File::create(self.log())?;
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .context("start redis-server; install it with `apt-get install redis-server`")?;
        self.child = Some(child);
        eventually("redis-server answers", || {
            Ok(self.ask::<String>(&["PING"])? == "PONG")
        })
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A child that is gone already cannot be killed, and that is as well.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Sends it a signal by name, such as `STOP`.
    ///
    /// # Errors
    /// If it is not running.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.as_ref().context("not running")?.id();
        let status = Command::new("kill")
            .args(["-s", name, &id.to_string()])
            .status()?;
        if !status.success() {
            bail!("cannot send {name}");
        }
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its data is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Sends it one command on a connection of its own.
    ///
    /// # Errors
    /// If it does not answer, or with an error.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let client = redis::Client::open(format!("redis://{}", self.address()))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut command = redis::cmd(words.first().context("no command")?);
        command.arg(words.get(1..).unwrap_or_default());
        Ok(command.query(&mut connection)?)
    }

    /// A field of its `INFO`, empty if there is none.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn info(&self, field: &str) -> Result<String> {
        let info: String = self.ask(&["INFO"])?;
        let found = info
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(found.unwrap_or_default().trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of 127.0.0.1 on which nobody listens, outside of the range from which the kernel gives
/// ports to others.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut random = u64::from(clock.subsec_nanos()) ^ (u64::from(std::process::id()) << 20);
    for _ in 0..1000 {
        // Knuth's MMIX generator; its high bits are the better ones.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let port = 12_000 + u16::try_from((random >> 33) % 18_000)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// Waits until something holds.
///
/// # Errors
/// If it does not within half a minute; with the last reason why not.
pub fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let held = holds();
        if matches!(held, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            match held {
                Err(error) => return Err(error.context(format!("{what}: not in time"))),
                Ok(_) => bail!("{what}: not in time"),
            }
        }
        #[expect(clippy::disallowed_methods, reason = "a test's thread may wait")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Splits settings at spaces; `""` is an empty one.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .map(|word| word.trim_matches('"').to_owned())
}

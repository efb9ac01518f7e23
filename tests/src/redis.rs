//! A redis-server of one's own, in a folder of its own, on a unix socket.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A real redis-server that ends, with its data, when this value is dropped.
pub struct Redis {
    folder: TempDir,
    child: Option<Child>,
}

impl Redis {
    /// Starts one that has on disk what it has answered, and waits until it answers. (With
    /// `everysec`, a kill on a busy disk takes back what the stories count.)
    ///
    /// # Errors
    /// If redis-server is not installed or does not come up within ten seconds.
    pub fn start() -> Result<Self> {
        let mut redis = Self::none()?;
        redis.restart()?;
        Ok(redis)
    }

    /// One that is not started: something else is used in its place.
    ///
    /// # Errors
    /// If there is no place for its folder.
    pub fn none() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chinwag-redis-")
            .tempdir()?;
        Ok(Self {
            folder,
            child: None,
        })
    }

    /// Starts it again on the same data.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])
            .args([
                "--maxmemory-policy",
                "noeviction",
                "--unixsocketperm",
                "700",
            ])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start redis-server; install it with `apt-get install redis-server`")?;
        self.child = Some(child);
        self.wait_until_it_answers()
    }

    /// Ends it at once, as a power cut would end the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A child that is gone already cannot be killed, and that is as well.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// How much it has written to its file: all that it has answered.
    ///
    /// # Errors
    /// If the file cannot be seen.
    pub fn written(&self) -> Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    /// Kills it and starts it again with only so much of its file: it has forgotten what it
    /// answered since.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn restart_with(&mut self, written: u64) -> Result<()> {
        self.kill();
        let file = std::fs::OpenOptions::new().write(true).open(self.file())?;
        file.set_len(written)?;
        self.restart()
    }

    fn file(&self) -> PathBuf {
        let folder = self.folder.path().join("appendonlydir");
        folder.join("appendonly.aof.1.incr.aof")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Where its data is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL to reach it by.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// A plain connection, for looking at what is stored.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn connection(&self) -> Result<redis::Connection> {
        Ok(redis::Client::open(self.url())?.get_connection()?)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.connection().and_then(|mut connection| {
                Ok(redis::cmd("PING").query::<String>(&mut connection)?)
            });
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > Duration::from_secs(10) => {
                    bail!("redis-server does not answer: {error}")
                }
                #[expect(clippy::disallowed_methods, reason = "a test's thread may wait")]
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

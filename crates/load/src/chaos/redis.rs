//! A redis-server of our own behind a proxy, and what is done to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use crate::chaos::process::{Names, Process, Recipe};
use crate::chaos::proxy::Proxy;
use crate::chaos::resp::{self, Value};

/// How long a server may take to start and to read its log.
const PATIENCE: Duration = Duration::from_secs(30);

/// A redis-server.
pub(crate) struct Redis {
    pub process: Process,
    /// Where it really listens. Everybody but us comes through the proxy.
    pub port: u16,
    pub proxy: Proxy,
    folder: PathBuf,
}

impl Redis {
    /// One that keeps its data in a folder below `folder`, with more arguments than all have.
    ///
    /// # Errors
    /// If the folder or the proxy cannot be made.
    pub async fn new(
        name: &str,
        ports: (u16, u16),
        folder: &Path,
        names: &Names,
        more: &[String],
    ) -> Result<Self> {
        let (port, door) = ports;
        let data = folder.join(name);
        fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
        let mut arguments: Vec<String> = [
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--bind",
            "127.0.0.1",
            "--maxmemory-policy",
            "noeviction",
            "--aof-load-truncated",
            "yes",
            // So that a replica has something to go on from.
            "--repl-backlog-size",
            "16mb",
            "--repl-diskless-sync-delay",
            "0",
        ]
        .map(ToOwned::to_owned)
        .to_vec();
        arguments.extend(["--port".to_owned(), port.to_string()]);
        arguments.extend(["--dir".to_owned(), data.display().to_string()]);
        arguments.extend_from_slice(more);
        // Sentinels write down in it whose replica a server is, so that it knows when it is
        // started again; what stood on the command line would contradict them.
        let file = data.join("redis.conf");
        fs::write(&file, lines(&arguments)).with_context(|| format!("write {}", file.display()))?;
        let recipe = Recipe {
            program: "redis-server".into(),
            arguments: vec![file.display().to_string()],
            environment: Vec::new(),
        };
        let targets = Arc::new(move || vec![port]);
        Ok(Self {
            process: Process::new(name, recipe, folder, names),
            port,
            proxy: Proxy::start(door, targets, names).await?,
            folder: data,
        })
    }

    /// Starts it and waits until it answers with its data.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start(&mut self) -> Result<()> {
        let start = || "start redis-server; install it with `apt-get install redis-server`";
        self.process.start().with_context(start)?;
        let late = Instant::now() + PATIENCE;
        loop {
            match self.ask(&["PING"]).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > late => return Err(error),
                Err(_) if !self.process.runs() => bail!("redis-server does not start"),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Asks it something, past the proxy.
    ///
    /// # Errors
    /// If it does not answer, or with an error.
    pub async fn ask(&self, words: &[&str]) -> Result<Value> {
        resp::ask(self.port, words).await
    }

    /// Whether it is nobody's replica.
    pub async fn is_primary(&self) -> bool {
        let role = self.ask(&["ROLE"]).await.ok();
        let role = role.and_then(|role| role.list().first().and_then(Value::text));
        role.as_deref() == Some("master")
    }

    /// All keys of a pattern.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let words = ["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000"];
            let answer = self.ask(&words).await?;
            let [next, keys] = answer.list() else {
                bail!("SCAN answers {answer:?}");
            };
            found.extend(keys.texts());
            cursor = next.text().unwrap_or_default();
            if cursor == "0" {
                found.sort_unstable();
                found.dedup();
                return Ok(found);
            }
        }
    }

    /// Cuts the end off its log while it does not run, as if the last writes had not reached the
    /// disk. How many bytes went.
    ///
    /// # Errors
    /// If there is no log.
    pub fn cut_tail(&self, share: f64) -> Result<u64> {
        /// About what a few seconds of a busy system write.
        const MOST: f64 = 256.0 * 1024.0;
        let folder = self.folder.join("appendonlydir");
        let mut logs: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(number) = name.strip_suffix(".incr.aof") {
                let number = number.rsplit('.').next().unwrap_or_default();
                logs.push((number.parse().unwrap_or(0), path));
            }
        }
        logs.sort_unstable();
        let (_, last) = logs.pop().context("there is no log")?;
        let file = fs::OpenOptions::new().write(true).open(&last)?;
        let length = file.metadata()?.len();
        // Never so much that the functions go, which stand at its beginning.
        #[expect(clippy::cast_precision_loss, reason = "a log of less than 2^52 bytes")]
        let most = (length as f64 / 4.0).min(MOST);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and at most 256 KiB"
        )]
        let cut = (most * share) as u64;
        file.set_len(length - cut)?;
        Ok(cut)
    }
}

/// Arguments in the form of a file: a line for each name and its value.
fn lines(arguments: &[String]) -> String {
    let pairs = arguments.chunks(2).filter_map(|pair| {
        let name = pair.first()?.trim_start_matches('-');
        let value = pair.get(1)?;
        let value = if value.is_empty() { "\"\"" } else { value };
        Some(format!("{name} {value}\n"))
    });
    pairs.collect()
}

//! A real `chinwag` process, started with addresses of its own and ended with this value.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running process.
pub struct Process {
    child: Child,
    /// Where clients connect, if they do: `http://127.0.0.1:PORT`.
    pub public: Option<String>,
    /// The admin port: `http://127.0.0.1:PORT`.
    pub admin: String,
    log: Arc<Mutex<String>>,
}

/// The binary under test: `CHINWAG_BIN`, or what was built beside the tests.
///
/// # Errors
/// If there is none yet.
pub fn binary() -> Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    if let Ok(path) = std::env::var("CHINWAG_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .context("no target folder")?;
    let binary = folder.join("chinwag");
    if !binary.exists() {
        bail!(
            "{} is missing: run `cargo build -p chinwag` first",
            binary.display()
        );
    }
    Ok(binary)
}

impl Process {
    /// Starts `chinwag` with arguments and waits until it says where it listens.
    ///
    /// # Errors
    /// If it ends before; with its log.
    pub fn start<I, S>(arguments: I) -> Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut child = Command::new(binary()?)
            .args(arguments)
            // Ours, and not settings of its.
            .env_remove("CHINWAG_BIN")
            .env_remove("CHINWAG_URL")
            .env("CHINWAG_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().context("no stdout")?;
        let stderr = child.stderr.take().context("no stderr")?;
        keep(stderr, &log, |_| {});
        let (sender, announced) = std::sync::mpsc::channel();
        keep(stdout, &log, move |line| {
            // Whoever no longer waits needs no line.
            drop(sender.send(line.to_owned()));
        });
        let mut process = Self {
            child,
            public: None,
            admin: String::new(),
            log,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match announced.recv_timeout(left) {
                Ok(line) => {
                    if let Some(url) = line.trim().strip_prefix("chat ") {
                        process.public = Some(url.trim().trim_end_matches('/').to_owned());
                    } else if let Some(url) = line.trim().strip_prefix("admin ") {
                        process.admin = url.trim().trim_end_matches("/metrics").to_owned();
                    } else if line.trim().starts_with("data ") {
                        return Ok(process);
                    }
                }
                Err(_) => bail!("chinwag did not start:\n{}", process.log()),
            }
        }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where clients connect, as a WebSocket address.
    ///
    /// # Panics
    /// If it is no gateway.
    #[must_use]
    pub fn socket(&self) -> String {
        let public = self.public.as_deref().expect("a gateway");
        format!("{}/connection/websocket", public.replacen("http", "ws", 1))
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        // One that is gone already cannot be killed, and that is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            #[expect(clippy::disallowed_methods, reason = "a test's thread may wait")]
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("chinwag did not end in time:\n{}", self.log())
    }

    /// Sends it a signal by name, such as `STOP`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()?;
        if !status.success() {
            bail!("cannot send {name}");
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads lines to the log until the stream ends.
fn keep(
    stream: impl Read + Send + 'static,
    log: &Arc<Mutex<String>>,
    mut heard: impl FnMut(&str) + Send + 'static,
) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            heard(&line);
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    });
}

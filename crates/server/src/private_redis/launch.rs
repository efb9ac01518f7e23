//! Starting the server, and knowing when it can be used.

use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::PrivateRedisError;
use super::ping::{self, Answer};
use crate::folder;
use crate::settings::Settings;

const POLL: Duration = Duration::from_millis(20);
/// Loading a long append-only file takes minutes; silence this long is worth a line in the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// `sun_path` of unix(7) holds 108 bytes with the final zero.
const SOCKET_PATH_BYTES: usize = 107;
const LOG_BYTES: u64 = 10 << 20;
const TAIL_LINES: usize = 8;

/// How the private Redis is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder, an absolute path.
    pub data: PathBuf,
    /// The server's program; `None` to look for one.
    pub program: Option<PathBuf>,
    /// Redis's `appendfsync`.
    pub fsync: String,
}

impl From<&Settings> for Options {
    fn from(settings: &Settings) -> Self {
        Self {
            data: settings.data.clone(),
            program: settings.redis_program.clone(),
            fsync: settings.redis_fsync.clone(),
        }
    }
}

impl Options {
    /// Where the server keeps its files.
    pub fn folder(&self) -> PathBuf {
        self.data.join("redis")
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.data.join("redis.sock")
    }

    /// Written by the server at its start, and removed when it ends in good order.
    pub fn pid_file(&self) -> PathBuf {
        self.folder().join("redis.pid")
    }

    fn log(&self) -> PathBuf {
        self.folder().join("redis.log")
    }

    /// How clients reach it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Makes the folder, and checks what can be checked before anything runs.
    pub fn prepare(&self) -> Result<(), PrivateRedisError> {
        self.program()?;
        if self.socket().as_os_str().as_bytes().len() > SOCKET_PATH_BYTES {
            return Err(PrivateRedisError::PathTooLong(self.socket()));
        }
        let folder = self.folder();
        folder::make(&folder).map_err(|error| self.io(io::Error::other(error.to_string())))?;
        // Redis only ever appends to its log.
        let long = fs::metadata(self.log()).is_ok_and(|log| log.len() > LOG_BYTES);
        if long {
            fs::remove_file(self.log()).map_err(|error| self.io(error))?;
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(|error| self.io(error))
    }

    fn program(&self) -> Result<PathBuf, PrivateRedisError> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => ["redis-server", "valkey-server"]
                .into_iter()
                .find_map(on_path)
                .ok_or(PrivateRedisError::NoProgram),
        }
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            // No port: the socket is the only way in.
            "--port",
            "0",
            "--unixsocketperm",
            "700",
            // The append-only file is the truth; a snapshot beside it would only cost a fork.
            "--appendonly",
            "yes",
            "--save",
            "",
            "--appendfsync",
            &self.fsync,
            "--maxmemory-policy",
            "noeviction",
            // A gateway that falls behind is cut and repairs itself, but not at the first burst.
            "--client-output-buffer-limit",
            "pubsub",
            "64mb",
            "16mb",
            "30",
            "--daemonize",
            "no",
            "--loglevel",
            "notice",
        ]
        .map(OsString::from)
        .into();
        for (option, path) in [
            ("--unixsocket", self.socket()),
            ("--dir", self.folder()),
            ("--pidfile", self.pid_file()),
            ("--logfile", self.log()),
        ] {
            arguments.extend([option.into(), path.into_os_string()]);
        }
        arguments
    }

    /// Starts the server and waits until it answers.
    pub async fn launch(&self) -> Result<Child, PrivateRedisError> {
        let program = self.program()?;
        let mut command = match on_path("setpriv") {
            // The kernel then ends the server when chinwag is killed.
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM", "--"]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        let child = command
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the whole group of the terminal; Redis must outlive the drain.
            .process_group(0)
            // When the thread that holds it panics.
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.io(error))?;
        self.wait(child).await
    }

    async fn wait(&self, mut child: Child) -> Result<Child, PrivateRedisError> {
        let mut quiet_until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| self.io(error))? {
                return Err(self.ended(status));
            }
            match ping::ping(&self.socket()).await {
                Answer::Ready => return Ok(child),
                answer if Instant::now() > quiet_until => {
                    tracing::info!(?answer, "waiting for the private Redis");
                    quiet_until = Instant::now() + PATIENCE;
                }
                Answer::Loading | Answer::Silent => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn ended(&self, status: ExitStatus) -> PrivateRedisError {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        let log = self.log().display().to_string();
        PrivateRedisError::Ended {
            program: self.name(),
            status: status.to_string(),
            log,
            tail,
        }
    }

    pub(super) fn io(&self, error: io::Error) -> PrivateRedisError {
        PrivateRedisError::Io {
            program: self.name(),
            error,
        }
    }

    fn name(&self) -> String {
        self.program().map_or_else(
            |_| "redis-server".to_owned(),
            |path| path.display().to_string(),
        )
    }
}

/// The program of this name, looked for as a shell would.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// How a child ended, for the log.
pub fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

//! A real PostgreSQL of one's own: Debian's, on a unix socket in a temporary directory.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const MISSING: &str = "PostgreSQL is not installed, and this test needs a real one:
    apt-get install postgresql";

/// A running server. It ends with this, and with the test's process if that is killed.
pub struct Server {
    directory: TempDir,
    binaries: PathBuf,
    process: Child,
}

impl Server {
    /// Makes a cluster and starts it.
    pub async fn start() -> Self {
        let binaries = binaries().expect(MISSING);
        let directory = tempfile::Builder::new()
            .prefix("chinwag-pg-")
            .tempdir()
            .unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
        if let Some((user, group)) = other_user() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let mut initdb = as_server(&binaries.join("initdb"));
        initdb.args([
            "--auth=trust",
            "--username=chinwag",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        done(
            initdb
                .args(["--no-sync", "-D"])
                .arg(directory.path().join("data")),
        );
        let process = launch(&binaries, directory.path());
        let server = Self {
            directory,
            binaries,
            process,
        };
        server.greeted().await;
        server
    }

    /// The URL of a new, empty database.
    pub async fn database(&self, name: &str) -> String {
        self.admin("postgres")
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        self.url(name)
    }

    pub fn url(&self, database: &str) -> String {
        let host = self
            .directory
            .path()
            .display()
            .to_string()
            .replace('/', "%2F");
        format!("postgres://chinwag:hunter2@{host}/{database}")
    }

    /// A connection past the archive.
    pub async fn admin(&self, database: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls)
            .await
            .unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own connection")]
        tokio::spawn(connection);
        client
    }

    /// Ends it as a power cut would end its processes, and waits until they are gone.
    pub fn kill(&mut self) {
        signal(&self.process, "-QUIT");
        self.process.wait().unwrap();
    }

    /// Starts it again after [`Self::kill`].
    pub async fn restart(&mut self) {
        self.process = launch(&self.binaries, self.directory.path());
        self.greeted().await;
    }

    async fn greeted(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        while tokio_postgres::connect(&self.url("postgres"), NoTls)
            .await
            .is_err()
        {
            assert!(Instant::now() < until, "PostgreSQL does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal(&self.process, "-QUIT");
        let _ = self.process.wait();
    }
}

fn launch(binaries: &Path, directory: &Path) -> Child {
    let mut postgres = as_server(&binaries.join("postgres"));
    postgres
        .arg("-D")
        .arg(directory.join("data"))
        .arg("-k")
        .arg(directory);
    for setting in [
        "listen_addresses=",
        "max_connections=50",
        "log_min_messages=fatal",
    ] {
        postgres.args(["-c", setting]);
    }
    postgres
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(process: &Child, signal: &str) {
    let _ = Command::new("kill")
        .args([signal, &process.id().to_string()])
        .output();
}

/// The newest version's programs, where Debian puts them.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok);
    let programs = versions.map(|version| version.path().join("bin"));
    programs
        .filter(|programs| programs.join("initdb").exists())
        .max()
}

/// PostgreSQL refuses to run as root: root runs it as the user that its package made.
fn other_user() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| -> u32 {
        let output = done(Command::new("id").args(arguments));
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    (number(&["-u"]) == 0).then(|| (number(&["-u", "postgres"]), number(&["-g", "postgres"])))
}

/// A command of the server's user, which is told to stop when its parent dies.
fn as_server(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]).current_dir("/");
    if let Some((user, group)) = other_user() {
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"));
        command.arg("--clear-groups");
    }
    command.arg(program);
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

//! The official SDKs of the open protocol, unmodified, against two gateways. `tests/sdk` says what
//! they do there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use chinwag_tests::cluster::{API_KEY, Cluster, HMAC_SECRET};
use chinwag_tests::process::Process;

/// The namespaces of which the SDKs' tests speak, and pings as often as the tests need them to see
/// a token's end.
const SETTINGS: &[(&str, &str)] = &[
    ("gateway.ping_interval_ms", "3000"),
    ("gateway.pong_timeout_ms", "2900"),
    ("namespaces.news.join_leave", "true"),
    ("namespaces.quiet.publish", "false"),
    ("namespaces.quiet.history", "false"),
    ("namespaces.quiet.presence_read", "false"),
    ("namespaces.vip.token_required", "true"),
    ("namespaces.fleeting.history_size", "0"),
    ("namespaces.short.history_size", "3"),
    ("namespaces.kept.force_recovery", "true"),
    // Rooms are as they are by default; direct ones take what is published as messages.
    ("namespaces.dm.publish", "true"),
];

#[test]
fn javascript_in_json() {
    javascript("json");
}

#[test]
fn javascript_in_protobuf() {
    javascript("protobuf");
}

#[test]
fn python_in_json() {
    python("json", "test_socket");
}

#[test]
fn python_in_protobuf() {
    python("protobuf", "test_socket");
}

#[test]
fn python_with_the_server_api() {
    python("json", "test_server_api");
}

fn javascript(encoding: &str) {
    let folder = sdk("node");
    install(|| {
        let modules = folder.join("node_modules");
        // What npm itself writes when it is done.
        let installed = modules.join(".package-lock.json");
        if is_newer(&installed, &folder.join("package-lock.json")) {
            return;
        }
        let arguments = ["ci", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(arguments).current_dir(&folder));
    });
    // Most of a test is waiting, so the files go side by side even on a small machine.
    let arguments = ["--test", "--test-concurrency=8", "--test-reporter=spec"];
    system(encoding).run(Command::new("node").args(arguments).current_dir(folder));
}

fn python(encoding: &str, module: &str) {
    let folder = sdk("python");
    let environment = folder.join(".venv");
    install(|| {
        let (wanted, installed) = (
            folder.join("requirements.txt"),
            environment.join("requirements.txt"),
        );
        if is_newer(&installed, &wanted) {
            return;
        }
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment));
        let pip = environment.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--requirement"])
            .arg(&wanted));
        fs::copy(wanted, installed).unwrap();
    });
    let arguments = ["-m", "unittest", module];
    let program = environment.join("bin/python");
    system(encoding).run(Command::new(program).args(arguments).current_dir(folder));
}

fn sdk(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sdk")
        .join(language)
}

/// Two gateways and what belongs to them.
struct System {
    encoding: String,
    gateways: [Process; 2],
    _workers: Vec<Process>,
    _cluster: Cluster,
}

fn system(encoding: &str) -> System {
    let with = |cluster: Cluster, (key, value): &(&str, &str)| cluster.with(key, value);
    let cluster = SETTINGS.iter().fold(Cluster::new().unwrap(), with);
    System {
        encoding: encoding.to_owned(),
        gateways: ["gateway"; 2].map(|role| cluster.start(role).unwrap()),
        _workers: cluster.workers().unwrap(),
        _cluster: cluster,
    }
}

impl System {
    /// Runs tests in another language that must succeed.
    fn run(&self, command: &mut Command) {
        let [one, other] = &self.gateways;
        run(command
            .env("CHINWAG_ENCODING", &self.encoding)
            .env("CHINWAG_URL", one.public.as_deref().unwrap())
            .env("CHINWAG_SOCKET", one.socket())
            .env("CHINWAG_OTHER_SOCKET", other.socket())
            .env("CHINWAG_HMAC_SECRET", HMAC_SECRET)
            .env("CHINWAG_API_KEY", API_KEY));
    }
}

/// Installs something, while the other tests, which may be other processes, wait.
fn install(what: impl FnOnce()) {
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk.lock");
    let lock = File::create(lock).unwrap();
    lock.lock().unwrap();
    what();
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let modified = |path| fs::metadata(path).and_then(|data| data.modified()).ok();
    modified(made) > modified(source)
}

/// Runs a program that must succeed; shows what it said if it does not.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        let packages = "nodejs npm python3 python3-venv";
        panic!("{command:?}: {error}; install with `apt-get install {packages}`")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}\n{erred}");
}

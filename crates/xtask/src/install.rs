//! Installing Debian packages that are missing, and only those.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Something that must be there, and the package that has it.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    package: &'static str,
    is_there: fn() -> bool,
}

const fn need(package: &'static str, is_there: fn() -> bool) -> Need {
    Need { package, is_there }
}

/// What `chinwag up` needs.
pub const TO_RUN: &[Need] = &[need("redis-server", has_redis)];

/// What breaking everything on purpose needs.
pub const TO_BREAK: &[Need] = &[
    need("redis-server", || program("redis-server").is_some()),
    need("faketime", has_faketime),
];

/// What the tests need. A test never skips because something is missing: it fails.
pub const TO_TEST: &[Need] = &[
    need("redis-server", || program("redis-server").is_some()),
    need("postgresql", has_postgres),
    need("chromium", || program("chromium").is_some()),
    need("chromium-driver", || program("chromedriver").is_some()),
    need("prometheus", || {
        program("prometheus").is_some() && program("promtool").is_some()
    }),
    need("faketime", has_faketime),
    need("nodejs", || program("node").is_some()),
    need("npm", || program("npm").is_some()),
    need("python3", || program("python3").is_some()),
    need("python3-venv", has_venv),
];

fn has_redis() -> bool {
    program("redis-server")
        .or_else(|| program("valkey-server"))
        .is_some()
}

/// The library that lies about the time; programs are started with it.
fn has_faketime() -> bool {
    let folders = Path::new("/usr/lib").read_dir();
    let mut folders = folders.into_iter().flatten().flatten();
    folders.any(|folder| folder.path().join("faketime/libfaketimeMT.so.1").exists())
}

/// Debian keeps a server's programs out of the way of other versions, and out of PATH.
fn has_postgres() -> bool {
    let installed = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten();
    program("initdb").is_some()
        || installed
            .into_iter()
            .any(|version| version.path().join("bin/initdb").exists())
}

fn has_venv() -> bool {
    let probe = Command::new("python3")
        .args(["-c", "import venv, ensurepip"])
        .output();
    probe.is_ok_and(|probe| probe.status.success())
}

/// Installs what is missing of these.
///
/// # Errors
/// When something is missing and cannot be installed; says what to do by hand.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| !(need.is_there)())
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing: {}; installing with apt-get", missing.join(", "));
    let by_hand = || format!("install by hand: {}", missing.join(" "));
    if program("apt-get").is_none() {
        bail!("this system has no apt-get; {}", by_hand());
    }
    let install = || {
        let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
        arguments.extend(&missing);
        apt_get(&arguments)
    };
    // The lists of packages may be missing, as in a fresh container, or out of date.
    if install().is_err() {
        apt_get(&["update", "--quiet"]).with_context(by_hand)?;
        install().with_context(by_hand)?;
    }
    let still: Vec<&str> = needs
        .iter()
        .filter(|need| !(need.is_there)())
        .map(|need| need.package)
        .collect();
    if !still.is_empty() {
        bail!("installed, but still not to be found: {}", still.join(", "));
    }
    Ok(())
}

/// Runs apt-get, as root.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else if program("sudo").is_some() {
        let mut command = Command::new("sudo");
        // sudo starts with an environment of its own.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    } else {
        bail!("apt-get needs root, and there is no sudo");
    };
    let output = command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("run apt-get")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "apt-get {} failed:\n{}",
            arguments.join(" "),
            words.trim_end()
        );
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The program of this name on PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let runs = |file: &Path| {
        fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| runs(file))
}

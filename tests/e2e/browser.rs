//! The page in a real browser: `tests/browser` says what it does there.

use std::path::Path;
use std::process::Command;

use chinwag_tests::cluster::Cluster;

#[test]
fn people_chat_in_a_real_browser() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    if !folder.join("node_modules").exists() {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&folder));
    }
    run(Command::new("node")
        .args(["--test", "."])
        .current_dir(&folder)
        .env("CHINWAG_URL", gateway.public.as_deref().unwrap()));
}

/// Runs a program that must succeed; shows what it said if it does not.
fn run(command: &mut Command) {
    let output = command
        .output()
        .expect("install nodejs and npm: apt-get install nodejs npm");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let erred = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}\n{erred}");
}

//! `cargo xtask test`: what CI runs, in CI's order.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step::{Steps, check};
use crate::{fuzz, install, tree};

/// Enough to find what a change to a decoder broke; `cargo xtask fuzz` looks longer.
const FUZZ_SECONDS: u32 = 20;

/// Runs everything; stops at the first failure.
pub fn run() -> Result<()> {
    let root = tree::root()?;
    let mut steps = Steps::default();
    steps.call("install what is missing", || {
        install::ensure(install::TO_TEST)
    })?;
    steps.command("format", cargo(&root, "fmt --all --check"))?;
    let clippy = "clippy --workspace --all-targets --locked --quiet -- --deny warnings";
    steps.command("clippy", cargo(&root, clippy))?;
    let docs = "doc --workspace --no-deps --locked --quiet";
    steps.command(
        "docs",
        cargo(&root, docs).env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    steps.command("build", cargo(&root, "build --locked --package chinwag"))?;
    steps.call("packages of the tests", || packages(&root.join("tests")))?;
    rust_tests(&root, &mut steps)?;
    steps.command(
        "doc tests",
        cargo(&root, "test --workspace --doc --locked --quiet"),
    )?;
    let mut chaos = Command::new(tree::target()?.join("debug/chinwag"));
    // Few clients: on two processors, and without optimization.
    chaos.args(["load", "--chaos", "--short", "--clients", "24"]);
    chaos.args(["--rooms", "8", "--rate", "40"]);
    steps.command("chaos", &mut chaos)?;
    let mut npm = Command::new("npm");
    npm.args(["test", "--silent"])
        .current_dir(root.join("crates/web"));
    steps.command("browser client", &mut npm)?;
    steps.command(
        "deployment files",
        &mut Command::new(root.join("deploy/check_files.py")),
    )?;
    if answers(cargo(&root, "deny --version")) {
        // Advisories come from a repository elsewhere, which is no matter of this change.
        let deny = "deny --workspace check bans licenses sources";
        steps.command("deny", cargo(&root, deny))?;
    } else {
        steps.skip("deny", "cargo-deny is not installed");
    }
    if fuzz::is_possible() {
        steps.call("fuzz", || fuzz::run(FUZZ_SECONDS))?;
    } else {
        steps.skip(
            "fuzz",
            "the nightly compiler or cargo-fuzz is not installed",
        );
    }
    steps.summary();
    Ok(())
}

/// Unit and end-to-end tests. Each is a process of its own under nextest.
fn rust_tests(root: &Path, steps: &mut Steps) -> Result<()> {
    if answers(cargo(root, "nextest --version")) {
        let nextest = "nextest run --workspace --locked --no-fail-fast";
        steps.watched("tests", cargo(root, nextest), |line| {
            line.trim().starts_with("Summary [")
        })
    } else {
        let test = "test --workspace --lib --bins --tests --locked --no-fail-fast";
        steps.watched("tests", cargo(root, test), |line| {
            line.starts_with("test result:")
        })
    }
}

/// Installs what the tests in other languages import: npm packages where there is a lock file, and
/// Python packages, into a `.venv`, where there is a `requirements.txt`.
fn packages(tests: &Path) -> Result<()> {
    for lock in tree::find(tests, "package-lock.json")? {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-audit", "--no-fund"]);
        check(npm.current_dir(folder(&lock)?))?;
    }
    for requirements in tree::find(tests, "requirements.txt")? {
        let folder = folder(&requirements)?;
        if !folder.join(".venv/bin/pip").exists() {
            let mut python = Command::new("python3");
            check(python.args(["-m", "venv", ".venv"]).current_dir(folder))?;
        }
        let mut pip = Command::new(folder.join(".venv/bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        check(pip.arg(&requirements))?;
    }
    Ok(())
}

fn folder(file: &Path) -> Result<&Path> {
    file.parent().context("a file without a folder")
}

/// Cargo with these words as arguments.
fn cargo(root: &Path, words: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(words.split(' '));
    command
}

fn answers(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

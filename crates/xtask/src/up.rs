//! `cargo xtask up`.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{install, step, tree};

/// Builds chinwag and becomes `chinwag up`.
pub fn run(flags: &[String]) -> Result<()> {
    if !names_redis(flags) {
        install::ensure(install::TO_RUN)?;
    }
    println!("building chinwag (the first time takes a few minutes)");
    let mut build = Command::new("cargo");
    step::check(build.current_dir(tree::root()?).args([
        "build",
        "--release",
        "--package",
        "chinwag",
    ]))?;
    // Becoming it, rather than starting it, leaves nobody between it and its signals.
    let error = Command::new(tree::target()?.join("release/chinwag"))
        .arg("up")
        .args(flags)
        .exec();
    Err(error).context("run chinwag")
}

/// Whether a Redis that runs elsewhere is named; then none is needed here.
fn names_redis(flags: &[String]) -> bool {
    let named = |flag: &String| {
        flag == "--redis" || flag.starts_with("--redis=") || flag.contains("redis.url=")
    };
    let variable = env::var_os("CHINWAG_REDIS_URL");
    flags.iter().any(named) || variable.is_some_and(|url| !url.is_empty())
}

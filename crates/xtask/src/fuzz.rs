//! `cargo xtask fuzz`: every fuzz target of every crate, one after the other.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::step::check;
use crate::tree;

/// Fuzzes each target for so many seconds.
pub fn run(seconds: u32) -> Result<()> {
    for manifest in tree::find(&tree::root()?.join("crates"), "fuzz/Cargo.toml")? {
        let folder = manifest
            .parent()
            .and_then(Path::parent)
            .context("a fuzz folder in a crate")?;
        for target in targets(folder)? {
            println!("--- {target}");
            let time = format!("-max_total_time={seconds}");
            check(cargo_fuzz(folder).args(["run", &target, "--", &time, "-print_final_stats=1"]))?;
        }
    }
    Ok(())
}

/// Whether this machine has what fuzzing takes.
pub fn is_possible() -> bool {
    let probe = cargo_fuzz(Path::new("."))
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    probe.is_ok_and(|probe| probe.status.success())
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let output = cargo_fuzz(folder)
        .arg("list")
        .output()
        .context("run cargo fuzz list")?;
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// The sanitizers need the nightly compiler, which `cargo +nightly` finds through rustup.
fn cargo_fuzz(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    // Cargo started us, and tells its children which compiler to use: the stable one.
    command
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    command.current_dir(folder).args(["+nightly", "fuzz"]);
    command
}

//! `cargo xtask bench`: the micro-benchmarks of the hot path.

use std::process::Command;

use anyhow::Result;

use crate::{step, tree};

/// Runs those whose name contains the filter, or all.
pub fn run(filter: Option<&str>) -> Result<()> {
    let mut command = Command::new("cargo");
    command
        .current_dir(tree::root()?)
        .args(["bench", "--locked", "--package", "chinwag-benches"]);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    step::check(&mut command)
}

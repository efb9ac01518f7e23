//! `cargo xtask chaos`: the long proof, on every way to set up Redis, into benches/RESULTS.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};

use crate::{install, step, tree};

const BEGIN: &str = "<!-- chaos -->";
const END: &str = "<!-- /chaos -->";

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Chaos {
    /// How often each fault is made
    #[arg(long, default_value_t = 20)]
    injections: u32,
    /// On which ways to set up Redis: standalone, sentinel, cluster, map
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "standalone,sentinel,cluster"
    )]
    topologies: Vec<String>,
    /// How many of them at once [default: one for each two processors]
    #[arg(long)]
    at_once: Option<usize>,
    /// Flags of `chinwag load --chaos`
    #[arg(last = true, value_name = "FLAG")]
    flags: Vec<String>,
}

/// Runs all of it and writes what came of it down, also if that was not good.
pub fn run(chaos: &Chaos) -> Result<()> {
    install::ensure(install::TO_BREAK)?;
    let root = tree::root()?;
    let mut build = Command::new("cargo");
    let build = build.current_dir(&root);
    step::check(build.args(["build", "--release", "--locked", "--package", "chinwag"]))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = chaos.at_once.unwrap_or(processors / 2).max(1);
    let below = tree::target()?.join("chaos");
    let mut failed = Vec::new();
    for topologies in chaos.topologies.chunks(at_once) {
        let running: Vec<(&String, Child)> = topologies
            .iter()
            .map(|topology| Ok((topology, start(chaos, topology, &below)?)))
            .collect::<Result<_>>()?;
        for (topology, mut child) in running {
            let status = child.wait().context("wait for chinwag load")?;
            if !status.success() {
                failed.push(topology.as_str());
            }
        }
    }
    let text = section(chaos, &root, &below)?;
    let results = root.join("benches/RESULTS.md");
    write(&results, &text)?;
    println!("{text}\nwritten to {}", results.display());
    if !failed.is_empty() {
        bail!("not good: {}; see {}", failed.join(", "), below.display());
    }
    Ok(())
}

fn start(chaos: &Chaos, topology: &str, below: &Path) -> Result<Child> {
    let folder = below.join(topology);
    // What an earlier run left would be taken for this one's.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(tree::target()?.join("release/chinwag"));
    command.args(["load", "--chaos", "--keep", "--topology", topology]);
    command.args(["--injections", &chaos.injections.to_string()]);
    command.arg("--folder").arg(&folder).args(&chaos.flags);
    command.spawn().context("run chinwag load --chaos")
}

/// The text of the results: what was run where, and a table for each.
fn section(chaos: &Chaos, root: &Path, below: &Path) -> Result<String> {
    let flags = chaos.flags.join(" ");
    let mut text = format!(
        "`cargo xtask chaos --injections {} --topologies {}{}{flags}`, {}, commit {}, {}\n",
        chaos.injections,
        chaos.topologies.join(","),
        if flags.is_empty() { "" } else { " -- " },
        said(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?,
        said(
            Command::new("git")
                .current_dir(root)
                .args(["rev-parse", "--short", "HEAD"])
        )?,
        machine(),
    );
    for topology in &chaos.topologies {
        text.push_str(&format!("\n### {topology}\n\n"));
        match table(&below.join(topology)) {
            Some(table) => text.push_str(&table),
            None => text.push_str("It did not come to an end.\n"),
        }
    }
    Ok(text)
}

/// The table of the one run below a folder.
fn table(folder: &Path) -> Option<String> {
    let runs = folder.read_dir().ok()?.flatten();
    let tables = runs.map(|run: fs::DirEntry| run.path().join("table.md"));
    let mut tables: Vec<PathBuf> = tables.filter(|table| table.exists()).collect();
    fs::read_to_string(tables.pop()?).ok()
}

/// Replaces what stands between the marks, or adds it.
fn write(results: &Path, text: &str) -> Result<()> {
    let heading = "# Results\n\n## Chaos\n\n";
    let before = fs::read_to_string(results).unwrap_or_else(|_| heading.to_owned());
    let section = format!("{BEGIN}\n{text}{END}\n");
    let after = match (before.split_once(BEGIN), before.split_once(END)) {
        (Some((head, _)), Some((_, tail))) => format!("{head}{section}{}", tail.trim_start()),
        _ => format!("{}\n{section}", before.trim_end()),
    };
    fs::write(results, after).with_context(|| format!("write {}", results.display()))
}

fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |model| model.trim_start_matches([' ', '\t', ':']));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{processors} x {model}")
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().context("ask for the circumstances")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

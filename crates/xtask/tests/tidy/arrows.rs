//! Who may import whom. A new arrow is the rarest change that we make: it comes here, alone in its
//! commit, with its reason.

use std::collections::BTreeSet;

use crate::tree::{File, files, report};

/// Each crate, and which of ours it may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("store", &["protocol"]),
    ("archive", &["protocol"]),
    ("runtime", &[]),
    ("worker", &["protocol", "store", "runtime"]),
    (
        "gateway",
        &["protocol", "store", "archive", "runtime", "web"],
    ),
    ("fanout", &["worker", "protocol", "store", "runtime"]),
    ("presence", &["worker", "protocol", "store", "runtime"]),
    (
        "archiver",
        &["worker", "protocol", "store", "archive", "runtime"],
    ),
    ("web", &[]),
    ("client", &["protocol"]),
    ("load", &["client", "protocol"]),
    (
        "server",
        &[
            "gateway", "fanout", "presence", "archiver", "load", "store", "archive", "runtime",
        ],
    ),
    ("xtask", &[]),
];

/// Libraries that only these may import, so that exactly one place knows what stands behind them.
const KEPT: &[(&str, &[&str])] = &[
    ("redis", &["crates/store", "tests"]),
    (
        "tokio-tungstenite",
        &["crates/gateway", "crates/client", "tests"],
    ),
    ("rusqlite", &["crates/archive", "tests"]),
    ("tokio-postgres", &["crates/archive", "tests"]),
    ("clap", &["crates/server", "crates/load", "crates/xtask"]),
];

struct Manifest {
    folder: String,
    table: toml::Table,
}

fn manifests() -> Vec<Manifest> {
    let is_ours = |file: &File| file.path.ends_with("/Cargo.toml") && !file.path.contains("/fuzz/");
    let parse = |file: File| Manifest {
        folder: file.path.trim_end_matches("/Cargo.toml").to_owned(),
        table: file.text.parse().unwrap(),
    };
    files().into_iter().filter(is_ours).map(parse).collect()
}

impl Manifest {
    fn dependencies(&self, kinds: &[&str]) -> BTreeSet<String> {
        let tables = kinds
            .iter()
            .filter_map(|kind| self.table.get(*kind)?.as_table());
        tables.flat_map(|table| table.keys().cloned()).collect()
    }
}

#[test]
fn crates_import_only_whom_they_may() {
    let mut problems = Vec::new();
    for manifest in manifests() {
        let Some(name) = manifest.folder.strip_prefix("crates/") else {
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("crate {name} is not in the table of arrows"));
            continue;
        };
        for dependency in manifest.dependencies(&["dependencies", "build-dependencies"]) {
            let ours = dependency.strip_prefix("chinwag-");
            if ours.is_some_and(|other| !allowed.contains(&other)) {
                problems.push(format!("{name} must not import {dependency}"));
            }
        }
    }
    report(&problems);
}

#[test]
fn libraries_are_kept_behind_their_crate() {
    let mut problems = Vec::new();
    for manifest in manifests() {
        // Tests may look behind: that no password is in Redis, only Redis can tell.
        let all = manifest.dependencies(&["dependencies", "build-dependencies"]);
        for (library, keepers) in KEPT {
            if all.contains(*library) && !keepers.contains(&manifest.folder.as_str()) {
                problems.push(format!("{} must not import {library}", manifest.folder));
            }
        }
    }
    report(&problems);
}

#[test]
fn every_crate_follows_the_lints_of_the_workspace() {
    let lints = |manifest: &Manifest| {
        let lints = manifest
            .table
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        lints.and_then(toml::Value::as_bool) == Some(true)
    };
    let without = manifests().into_iter().filter(|manifest| !lints(manifest));
    let problems =
        without.map(|manifest| format!("{}: no [lints] workspace = true", manifest.folder));
    report(&problems.collect::<Vec<_>>());
}

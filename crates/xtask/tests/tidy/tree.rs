//! The files of this repository, as the rules see them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file that is, or is about to be, committed.
pub struct File {
    /// From the root of the repository.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// All text files that git knows or does not ignore.
pub fn files() -> Vec<File> {
    let listing = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .current_dir(root())
        .args(listing)
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files: {output:?}");
    let paths = String::from_utf8(output.stdout).unwrap();
    let read = |path: &str| {
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(File {
            path: path.to_owned(),
            text,
        })
    };
    paths.split_terminator('\0').filter_map(read).collect()
}

/// The Rust files of the product itself: not tests, benches and fuzz targets.
pub fn product() -> Vec<File> {
    let is_product = |file: &File| {
        let is_source = file.path.contains("/src/") && file.path.ends_with(".rs");
        let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        file.path.starts_with("crates/") && is_source && !is_test
    };
    files().into_iter().filter(is_product).collect()
}

impl File {
    /// The text before the tests that stand at the end of the file.
    pub fn without_tests(&self) -> &str {
        self.text
            .split("\n#[cfg(test)]\nmod ")
            .next()
            .unwrap_or(&self.text)
    }
}

/// Fails with all problems at once.
#[track_caller]
pub fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

//! Paths in documents lead somewhere, and no file knows the machine that it was written on.

use crate::tree::{files, report, root};

const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
const TOP: [&str; 6] = [
    "crates/", "deploy/", "tests/", "benches/", ".ci/", ".cargo/",
];

/// A map that names places which do not exist is worse than none.
#[test]
fn paths_named_in_documents_exist() {
    let mut problems = Vec::new();
    for file in files()
        .iter()
        .filter(|file| DOCUMENTS.contains(&file.path.as_str()))
    {
        for path in named_paths(&file.text) {
            if !root().join(path).exists() {
                problems.push(format!("{}: {path} does not exist", file.path));
            }
        }
    }
    report(&problems);
}

/// Whatever looks like a path from the root, without patterns and placeholders.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let not_in_path = |letter: char| letter.is_whitespace() || "`()[]<>,;:\"'|".contains(letter);
    let is_path =
        |word: &&str| TOP.iter().any(|top| word.starts_with(top)) && !word.contains(['*', '{']);
    text.split(not_in_path)
        .map(|word| word.trim_end_matches('.'))
        .filter(is_path)
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // Put together here, so that this file does not name them.
    let places = ["work", "farm", "root", "home"].map(|name| format!("/{name}/"));
    let mut problems = Vec::new();
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            // In the middle of a path or an address it is a name of ours.
            let begins = |at: usize| {
                !line[..at].ends_with(|before: char| {
                    before.is_alphanumeric() || ".-_}*~/".contains(before)
                })
            };
            if places
                .iter()
                .any(|place| line.match_indices(place.as_str()).any(|(at, _)| begins(at)))
            {
                problems.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    report(&problems);
}

//! The functions that run inside Redis.

use crate::tree::{files, report};

/// A reader who has only the file must know what to pass and what to count on.
#[test]
fn every_lua_file_begins_with_its_contract() {
    let mut problems = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".lua")) {
        let header: Vec<&str> = file
            .text
            .lines()
            .take_while(|line| line.starts_with("--"))
            .collect();
        let header = header.join("\n");
        for word in ["KEYS:", "ARGV:", "Promises:"] {
            if !header.contains(word) {
                problems.push(format!("{}: its first lines do not name {word}", file.path));
            }
        }
    }
    report(&problems);
}

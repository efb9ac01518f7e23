//! Every setting does something.

use crate::tree::{product, report};

const TABLE: &str = "crates/server/src/settings/table.rs";

/// A key that is checked, documented and then forgotten is a promise not kept.
#[test]
fn every_key_of_the_table_is_read() {
    let server: Vec<_> = product()
        .into_iter()
        .filter(|file| file.path.starts_with("crates/server/"))
        .collect();
    let table = server.iter().find(|file| file.path == TABLE).unwrap();
    let keys = table
        .without_tests()
        .lines()
        .filter(|line| line.trim_start().starts_with("row("));
    let names: Vec<&str> = keys.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(names.len() > 30, "the table looks different: {names:?}");
    let is_read = |name: &&str| {
        let quoted = format!("\"{name}\"");
        let stem = name.strip_suffix("_file").map(|stem| format!("\"{stem}\""));
        server.iter().filter(|file| file.path != TABLE).any(|file| {
            let text = file.without_tests();
            text.contains(&quoted) || stem.as_ref().is_some_and(|stem| text.contains(stem))
        })
    };
    let unread = names.iter().filter(|name| !is_read(name));
    report(
        &unread
            .map(|name| format!("{name}: read nowhere in the server"))
            .collect::<Vec<_>>(),
    );
}

//! Every metric is in the table that describes it, and everything in the table is recorded.

use std::collections::BTreeSet;

use crate::tree::{File, product, report};

const TABLE: &str = "crates/runtime/src/metrics/table.rs";

/// The quoted names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        text.starts_with("chinwag_")
            && text
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    // Crates are named with the same beginning, but never in quotes, except as log targets.
    text.split('"').filter(is_name).map(str::to_owned).collect()
}

#[test]
fn recorded_and_described_metrics_are_the_same() {
    let (table, others): (Vec<File>, Vec<File>) =
        product().into_iter().partition(|file| file.path == TABLE);
    let described = names(&table[0].text);
    let recorded: BTreeSet<String> = others
        .iter()
        .flat_map(|file| names(file.without_tests()))
        .collect();
    let undescribed = recorded
        .difference(&described)
        .map(|name| format!("{name}: not in {TABLE}"));
    let unused = described
        .difference(&recorded)
        .map(|name| format!("{name}: recorded nowhere"));
    report(&undescribed.chain(unused).collect::<Vec<_>>());
}

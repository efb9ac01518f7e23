//! The settings as a file of defaults and as a reference page.

use std::fmt::Write;

use super::environment;
use super::kind::{Kind, Value};
use super::table::{self, ALL, KEYS, NAMESPACE, Row};

const WIDTH: usize = 96;
const INTRODUCTION: &str = "\
# The settings of chinwag, with their defaults. A key that is left out keeps its default, so that a
# file of one's own needs only what differs. Stronger than this file are environment variables
# (CHINWAG_GATEWAY_LISTEN for gateway.listen), and flags (--set gateway.listen=...) are strongest.
";
const NAMESPACES: &str = "\
# A namespace is what a channel's id has before its first colon; channels without one are in
# `default`. Chat rooms are in `room`, direct conversations in `dm`; for those two, kind is always
# \"members\", and publish (raw data besides messages) defaults to false.
";

/// A TOML file that holds every default, and so changes nothing.
#[must_use]
pub fn defaults() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut section = "";
    for row in KEYS {
        let next = table::section(row.name);
        if next != section {
            section = next;
            line(&mut text, &format!("\n[{section}]"));
        }
        describe(
            &mut text,
            row,
            row.name.strip_prefix(section).unwrap_or(row.name),
        );
    }
    line(&mut text, &format!("\n{NAMESPACES}[namespaces.default]"));
    NAMESPACE
        .iter()
        .for_each(|row| describe(&mut text, row, row.name));
    text
}

fn describe(text: &mut String, row: &Row, key: &str) {
    let comment = format!("{} ({})", row.help, row.kind);
    wrap(&comment)
        .iter()
        .for_each(|part| line(text, &format!("# {part}")));
    line(
        text,
        &format!("{} = {}", key.trim_start_matches('.'), literal(row)),
    );
}

/// The reference page: a table per section, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text =
        "# Settings\n\nGenerated: `cargo run -- config doc > crates/server/SETTINGS.md`.\n"
            .to_owned();
    for section in table::sections().filter(|section| *section != "namespaces") {
        line(&mut text, &format!("\n## {section}\n"));
        heading(&mut text);
        KEYS.iter()
            .filter(|row| table::section(row.name) == section)
            .for_each(|row| {
                entry(&mut text, row, row.name, &environment::variable(row.name));
            });
    }
    line(&mut text, "\n## namespaces\n");
    line(&mut text, NAMESPACES.replace("# ", "").trim_end());
    line(&mut text, "");
    heading(&mut text);
    for row in NAMESPACE {
        let name = format!("namespaces.NAME.{}", row.name);
        entry(&mut text, row, &name, &environment::variable(&name));
    }
    text
}

fn heading(text: &mut String) {
    line(
        text,
        "| key | value | default | environment | used by | meaning |",
    );
    line(text, "|---|---|---|---|---|---|");
}

fn entry(text: &mut String, row: &Row, name: &str, variable: &str) {
    let roles = if row.roles == ALL {
        "all".to_owned()
    } else {
        row.roles
            .iter()
            .map(|role| role.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let secret = if matches!(row.kind, Kind::Secret(_)) {
        "secret, "
    } else {
        ""
    };
    let (kind, default, help) = (row.kind, literal(row), row.help);
    line(
        text,
        &format!("| `{name}` | {secret}{kind} | `{default}` | `{variable}` | {roles} | {help} |"),
    );
}

/// The default as TOML.
fn literal(row: &Row) -> String {
    match row.kind.read_text(row.default) {
        Ok(Value::Integer(number)) => number.to_string(),
        Ok(Value::Switch(switch)) => switch.to_string(),
        Ok(Value::Origins(_) | Value::Networks(_)) => format!("[{}]", row.default),
        _ => format!("{:?}", row.default),
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if last.len() + 1 + word.len() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Written;
    use super::*;

    #[test]
    fn the_file_of_defaults_changes_nothing() {
        let mut written = Written::defaults();
        let before = format!("{written:?}");
        written.file("defaults", &defaults());
        assert_eq!(format!("{written:?}"), before);
    }

    #[test]
    fn the_committed_page_is_what_the_table_says() {
        let committed = include_str!("../../SETTINGS.md");
        assert!(
            committed == reference(),
            "run: cargo run -- config doc > crates/server/SETTINGS.md"
        );
    }

    #[test]
    fn every_key_is_in_both_documents() {
        let (file, page) = (defaults(), reference());
        for row in KEYS {
            assert!(
                page.contains(&format!("| `{}` |", row.name)),
                "{}",
                row.name
            );
        }
        for row in KEYS.iter().chain(NAMESPACE) {
            let key = row.name.rsplit('.').next().unwrap();
            assert!(file.contains(&format!("\n{key} = ")), "{}", row.name);
        }
        assert!(file.lines().all(|line| line.len() <= 100), "{file}");
    }
}

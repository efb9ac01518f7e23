//! How long files and functions may be. Not a goal, but a sign: what is longer has a seam that was
//! not looked for.

use crate::tree::{File, files, product, report};

const FILE_LINES: usize = 400;
const NINE_OF_TEN_FILES: usize = 300;
const MEDIAN_FILE: usize = 130;
const FUNCTION_LINES: usize = 60;
/// A loop that only hands events over, one arm each, is read as a table.
const EVENT_LOOP_LINES: usize = 80;
const EVENT_LOOPS: [&str; 3] = ["run", "handle", "serve"];

#[test]
fn files_are_short() {
    let mut lengths: Vec<(usize, String)> = product()
        .into_iter()
        .map(|file| (file.without_tests().lines().count(), file.path))
        .collect();
    lengths.sort();
    let long = lengths.iter().filter(|(lines, _)| *lines > FILE_LINES);
    let mut problems: Vec<String> = long
        .map(|(lines, path)| format!("{path}: {lines} lines, may have {FILE_LINES}"))
        .collect();
    for (share, most) in [(50, MEDIAN_FILE), (90, NINE_OF_TEN_FILES)] {
        let lines = lengths[lengths.len() * share / 100].0;
        if lines > most {
            problems.push(format!(
                "{share} % of files have up to {lines} lines, budget is {most}"
            ));
        }
    }
    report(&problems);
}

#[test]
fn functions_are_short() {
    let mut problems = Vec::new();
    for file in product() {
        for (line, name, lines) in functions(&file) {
            let is_loop = EVENT_LOOPS.iter().any(|start| name.starts_with(start));
            let most = if is_loop {
                EVENT_LOOP_LINES
            } else {
                FUNCTION_LINES
            };
            if lines > most {
                problems.push(format!(
                    "{}:{line}: {name} has {lines} lines, may have {most}",
                    file.path
                ));
            }
        }
    }
    report(&problems);
}

/// Line, name and length of each function. rustfmt puts a function's closing brace alone under the
/// beginning of its first line, which is all the parsing that this takes.
fn functions(file: &File) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = file.without_tests().lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[start..].iter().position(|line| {
            *line == end || (line.starts_with(indent) && line.ends_with(';') && line.contains("->"))
        });
        found.extend(length.map(|length| (start + 1, name, length + 1)));
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let is_one_line = line.ends_with('}') || line.ends_with(';');
    let mut words = line.trim_start().split([' ', '(', '<']);
    let qualifiers = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "crate)",
        "super)",
    ];
    let keyword = words.find(|word| !qualifiers.contains(word))?;
    (keyword == "fn" && !is_one_line).then(|| words.next().unwrap_or_default().to_owned())
}

#[test]
fn nothing_calls_itself_unfinished() {
    // Put together here, so that this file does not call itself so.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X "], ["HA", "CK"]].map(|parts| parts.concat());
    let mut problems = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".rs")) {
        for (number, line) in file.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                problems.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    report(&problems);
}

#[test]
fn functions_are_found_and_measured() {
    let text = "impl X {\n    pub async fn two(\n        self,\n    ) {\n    }\n\n    fn one() {}\n}\n\
                \nconst fn three() {\n    if x {\n    }\n}\n";
    let file = File {
        path: "x.rs".to_owned(),
        text: text.to_owned(),
    };
    let expected = [(2, "two".to_owned(), 4), (10, "three".to_owned(), 4)];
    assert_eq!(functions(&file), expected);
}

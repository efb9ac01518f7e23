//! What was written where: defaults, then a file, then the environment, then flags, each stronger
//! than the one before. Problems are collected, not returned: all are wanted at once.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::{self, Meaning};
use super::kind::Value;
use super::problem::{Problem, Problems};
use super::suggest;
use super::table::{self, KEYS, NAMESPACE};

/// All values by full name, and all problems so far.
#[derive(Debug)]
pub struct Written {
    values: BTreeMap<String, Value>,
    namespaces: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// The namespaces that exist whether or not they are written: that of channels without a colon,
/// and those of chat rooms and direct conversations.
pub const BUILT_IN: [&str; 3] = ["default", "room", "dm"];

impl Written {
    /// The defaults.
    #[must_use]
    pub fn defaults() -> Self {
        let mut written = Self {
            values: BTreeMap::new(),
            namespaces: BTreeSet::new(),
            problems: Vec::new(),
        };
        for row in KEYS {
            written.put("default", row.name, row.kind.read_text(row.default));
        }
        for name in BUILT_IN {
            written.namespace(name);
        }
        written
    }

    /// Adds what a TOML file says; `path` only names it in problems.
    pub fn file(&mut self, path: &str, text: &str) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.table(path, &table),
            Err(error) => self.problem(path, error.to_string().trim_end()),
        }
    }

    fn table(&mut self, path: &str, table: &toml::Table) {
        for (section, value) in table {
            let place = format!("{path}: {section}");
            match value {
                _ if !table::sections().any(|known| known == section) => {
                    let hint = suggest::hint(section, table::sections());
                    self.problem(&place, &format!("unknown section{hint}"));
                }
                toml::Value::Table(keys) if section == "namespaces" => self.spaces(path, keys),
                toml::Value::Table(keys) => self.keys(path, section, keys),
                _ => self.problem(&place, "must be a section, as in [gateway]"),
            }
        }
    }

    fn spaces(&mut self, path: &str, spaces: &toml::Table) {
        for (name, value) in spaces {
            let section = format!("namespaces.{name}");
            match (table::check_namespace(name), value) {
                (Err(message), _) => self.problem(&format!("{path}: {section}"), &message),
                (Ok(()), toml::Value::Table(keys)) => {
                    self.namespace(name);
                    self.keys(path, &section, keys);
                }
                _ => self.problem(&format!("{path}: {section}"), "must be a section"),
            }
        }
    }

    fn keys(&mut self, path: &str, section: &str, keys: &toml::Table) {
        for (key, value) in keys {
            let name = format!("{section}.{key}");
            let value = table::find(&name).and_then(|row| row.kind.read_toml(value));
            self.put(&format!("{path}: {name}"), &name, value);
        }
    }

    /// Adds what the environment says.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            match environment::meaning(&variable, &value) {
                Meaning::Foreign => {}
                Meaning::Key(name) => self.text(&variable, &name, &value),
                Meaning::Unknown(message) => self.problem(&variable, &message),
            }
        }
    }

    /// Adds what a flag says about the key of this full name.
    pub fn flag(&mut self, flag: &str, name: &str, value: &str) {
        self.text(flag, name, value);
    }

    /// Adds a `section.key=value`.
    pub fn assignment(&mut self, flag: &str, assignment: &str) {
        match assignment.split_once('=') {
            Some((name, value)) => self.text(&format!("{flag} {name}"), name.trim(), value),
            None => self.problem(flag, "must be section.key=value"),
        }
    }

    fn text(&mut self, place: &str, name: &str, value: &str) {
        let value = table::find(name).and_then(|row| row.kind.read_text(value));
        self.put(place, name, value);
    }

    fn put(&mut self, place: &str, name: &str, value: Result<Value, String>) {
        match value {
            Ok(value) => {
                if let Some((namespace, _)) = name
                    .strip_prefix("namespaces.")
                    .and_then(|rest| rest.rsplit_once('.'))
                {
                    self.namespace(namespace);
                }
                self.values.insert(name.to_owned(), value);
            }
            Err(message) => self.problem(place, &message),
        }
    }

    /// Gives a namespace its defaults, the first time that it is named.
    fn namespace(&mut self, name: &str) {
        if !self.namespaces.insert(name.to_owned()) {
            return;
        }
        for row in NAMESPACE {
            let default = built_in_default(name, row.name).unwrap_or(row.default);
            let key = format!("namespaces.{name}.{}", row.name);
            self.put("default", &key, row.kind.read_text(default));
        }
    }

    /// Adds a problem; `place` says where it can be mended.
    pub fn problem(&mut self, place: &str, message: &str) {
        self.problems.push(Problem {
            place: place.to_owned(),
            message: message.to_owned(),
        });
    }

    /// All problems so far, in the order of the sources, if there are any.
    pub fn take_problems(&mut self) -> Option<Problems> {
        Some(Problems(std::mem::take(&mut self.problems))).filter(|problems| !problems.0.is_empty())
    }

    /// The names of all namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str)
    }

    /// The value of the key of this full name.
    ///
    /// # Panics
    /// When there is no such key, which a test rules out by meaning all of them.
    #[must_use]
    pub fn value(&self, name: &str) -> &Value {
        self.values
            .get(name)
            .expect("every key of the table has a value")
    }
}

/// Where the built-in namespaces differ from what a new one would be: chat rooms belong to their
/// members, who send messages there and do not publish raw data.
#[must_use]
pub fn built_in_default(namespace: &str, key: &str) -> Option<&'static str> {
    match (namespace, key) {
        ("room" | "dm", "kind") => Some("members"),
        ("room" | "dm", "publish") => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
        let mut written = Written::defaults();
        written.file("x.toml", file);
        written.environment(
            environment
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string())),
        );
        flags
            .iter()
            .for_each(|flag| written.assignment("--set", flag));
        let problems = written
            .take_problems()
            .map_or_else(Vec::new, |problems| problems.0);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let mut written = Written::defaults();
        let value = |written: &Written| written.value("worker.batch").clone();
        assert_eq!(value(&written), Value::Integer(500));
        written.file("x.toml", "[worker]\nbatch = 1");
        assert_eq!(value(&written), Value::Integer(1));
        written.environment([("CHINWAG_WORKER_BATCH".to_owned(), "2".to_owned())]);
        assert_eq!(value(&written), Value::Integer(2));
        written.assignment("--set", "worker.batch=3");
        assert_eq!(value(&written), Value::Integer(3));
        assert_eq!(written.take_problems(), None);
    }

    #[test]
    fn all_problems_are_reported_at_once_and_by_name() {
        let file = "gatway = 1\nredis = 2\n[gateway]\nthreads = 'many'\nlisten = 'x'\n\
                    [namespaces.'a b']\n[namespaces.c]\nkind = 'closed'\ncolour = 'red'\n[sql]\n";
        let environment = [("CHINWAG_WORKER_BATCH", "0"), ("CHINWAG_WORKER_BACH", "1")];
        let expected = [
            "x.toml: gateway.listen: must be an address such as 127.0.0.1:8000, got \"x\"",
            "x.toml: gateway.threads: must be an integer from 0 to 256, got string",
            "x.toml: gatway: unknown section; did you mean gateway?",
            "x.toml: namespaces.a b: a namespace is 1 to 60 of A-Z a-z 0-9 _ - .",
            "x.toml: namespaces.c.colour: unknown key",
            "x.toml: namespaces.c.kind: must be one of open, members, got \"closed\"",
            "x.toml: redis: must be a section, as in [gateway]",
            "x.toml: sql: unknown section",
            "CHINWAG_WORKER_BATCH: must be an integer from 1 to 5000, got \"0\"",
            "CHINWAG_WORKER_BACH: unknown setting; did you mean CHINWAG_WORKER_BATCH?",
            "--set worker.batches: unknown key; did you mean worker.batch?",
            "--set: must be section.key=value",
        ];
        assert_eq!(
            problems(file, &environment, &["worker.batches=1", "nonsense"]),
            expected
        );
    }

    #[test]
    fn a_file_that_is_not_toml_says_where() {
        let problem = &problems("[gateway\n", &[], &[])[0];
        assert!(
            problem.starts_with("x.toml: TOML parse error at line 1"),
            "{problem}"
        );
    }

    #[test]
    fn namespaces_begin_with_their_defaults() {
        let mut written = Written::defaults();
        written.file(
            "x.toml",
            "[namespaces.game]\nhistory_size = 7\n[namespaces.room]\n",
        );
        let names: Vec<&str> = written.namespaces().collect();
        assert_eq!(names, ["default", "dm", "game", "room"]);
        assert_eq!(
            written.value("namespaces.game.history_size"),
            &Value::Integer(7)
        );
        assert_eq!(
            written.value("namespaces.game.publish"),
            &Value::Switch(true)
        );
        assert_eq!(
            written.value("namespaces.room.publish"),
            &Value::Switch(false)
        );
    }
}

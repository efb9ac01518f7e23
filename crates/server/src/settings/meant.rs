//! What a process is built from. Made once, from [`Written`]; checks whatever takes more than one
//! key to check.

use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use chinwag_runtime::log::{Filter, Format};

use super::keys::Keys;
use super::problem::Problems;
use super::table::Role;
use super::written::{BUILT_IN, Written};

/// The settings of a process that do not belong to a single part of it.
#[derive(Debug)]
pub struct Settings {
    /// The subcommand.
    pub role: Role,
    /// Folder for what this host keeps, as an absolute path.
    pub data: PathBuf,
    /// The address of the admin port.
    pub admin: SocketAddr,
    /// How log lines look.
    pub log_format: Format,
    /// Which log lines are written.
    pub log_filter: Filter,
    /// Where Redis is; nowhere yet when `up` runs a private one.
    pub redis_url: Option<String>,
    /// The program of the private Redis; `None` to look for one.
    pub redis_program: Option<PathBuf>,
    /// The `appendfsync` of the private Redis.
    pub redis_fsync: String,
    /// The archive's address.
    pub archive_url: String,
    /// Whether that is a file in the data folder.
    pub archive_in_data: bool,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How long closing all connections may take.
    pub drain: Duration,
    written: Written,
}

impl Settings {
    /// Says what the written settings mean to a process of this role.
    ///
    /// # Errors
    /// All problems at once, those of writing first.
    pub fn mean(mut written: Written, role: Role) -> Result<Self, Problems> {
        check(&mut written, role);
        if let Some(problems) = written.take_problems() {
            return Err(problems);
        }
        let keys = Keys::of(&written);
        let data = absolute(keys.text("data.dir")).unwrap_or_else(|_| keys.text("data.dir").into());
        Ok(Self {
            role,
            admin: keys.address("admin.listen"),
            log_format: log_format(keys.text("log.format")),
            log_filter: keys.filter("log.level"),
            redis_url: Some(keys.text("redis.url"))
                .filter(|url| !url.is_empty())
                .map(str::to_owned),
            redis_program: keys.path("redis.bin"),
            redis_fsync: keys.text("redis.fsync").to_owned(),
            archive_in_data: keys.text("archive.url").is_empty(),
            archive_url: archive_url(keys.text("archive.url"), &data),
            listen: keys.address("gateway.listen"),
            drain: keys.seconds("gateway.drain_seconds"),
            data,
            written,
        })
    }

    /// All values by key, for the settings of single parts.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys::of(&self.written)
    }
}

/// What only several keys together can get wrong.
fn check(written: &mut Written, role: Role) {
    let keys = Keys::of(written);
    let mut problems: Vec<(String, String)> = Vec::new();
    let mut problem = |place: &str, message: String| problems.push((place.to_owned(), message));
    if keys.text("data.dir").is_empty() {
        problem("data.dir", "must not be empty".to_owned());
    }
    if role != Role::Up && keys.text("redis.url").is_empty() {
        let message = format!(
            "must be set: `chinwag {}` shares a Redis with other processes, as in --redis \
             redis://127.0.0.1:6379 (`chinwag up` runs one by itself)",
            role.name()
        );
        problem("redis.url", message);
    }
    let (ping, pong) = ("gateway.ping_interval_ms", "gateway.pong_timeout_ms");
    if keys.milliseconds(pong) >= keys.milliseconds(ping) {
        problem(pong, format!("must be less than {ping}"));
    }
    if keys.address("gateway.listen") == keys.address("admin.listen")
        && keys.address("admin.listen").port() != 0
        && matches!(role, Role::Up | Role::Gateway)
    {
        problem(
            "admin.listen",
            "must not be the same address as gateway.listen".to_owned(),
        );
    }
    for secret in ["token.hmac_secret", "api.key"] {
        let file = format!("{secret}_file");
        if keys.secret(secret).is_some() && keys.path(&file).is_some() {
            problem(&file, format!("must not be set together with {secret}"));
        }
    }
    for name in BUILT_IN.into_iter().filter(|name| *name != "default") {
        let key = format!("namespaces.{name}.kind");
        if keys.text(&key) != "members" {
            problem(&key, "is always members".to_owned());
        }
    }
    for (place, message) in problems {
        written.problem(&place, &message);
    }
}

fn log_format(word: &str) -> Format {
    match word {
        "json" => Format::Json,
        "human" => Format::Human,
        _ => Format::Auto,
    }
}

fn archive_url(written: &str, data: &Path) -> String {
    if written.is_empty() {
        return format!("sqlite:{}", data.join("archive.sqlite").display());
    }
    written.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(role: Role, assignments: &[&str]) -> Result<Settings, String> {
        let mut written = Written::defaults();
        assignments
            .iter()
            .for_each(|assignment| written.assignment("--set", assignment));
        Settings::mean(written, role).map_err(|problems| problems.to_string())
    }

    #[track_caller]
    fn refused(role: Role, assignments: &[&str], expected: &str) {
        let problems = mean(role, assignments).unwrap_err();
        assert!(problems.contains(expected), "{problems}");
    }

    #[test]
    fn up_needs_no_settings_at_all() {
        let settings = mean(Role::Up, &[]).unwrap();
        assert_eq!(settings.redis_url, None);
        assert!(settings.data.is_absolute() && settings.data.ends_with(".chinwag"));
        assert!(settings.archive_url.ends_with("/.chinwag/archive.sqlite"));
        assert_eq!(settings.listen.port(), 8000);
    }

    #[test]
    fn other_roles_need_a_redis() {
        refused(
            Role::Gateway,
            &[],
            "redis.url: must be set: `chinwag gateway` shares",
        );
        let settings = mean(Role::Fanout, &["redis.url=redis://h:1"]).unwrap();
        assert_eq!(settings.redis_url.as_deref(), Some("redis://h:1"));
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        let check = |assignments: &[&str], expected| refused(Role::Up, assignments, expected);
        check(
            &["gateway.pong_timeout_ms=25000"],
            "must be less than gateway.ping_interval_ms",
        );
        check(
            &["admin.listen=127.0.0.1:8000"],
            "must not be the same address",
        );
        check(&["data.dir="], "data.dir: must not be empty");
        check(
            &["namespaces.room.kind=open"],
            "namespaces.room.kind: is always members",
        );
        let secret = format!("api.key={}", "k".repeat(32));
        check(
            &[&secret, "api.key_file=key"],
            "api.key_file: must not be set together",
        );
    }

    #[test]
    fn problems_of_writing_and_of_meaning_come_together() {
        let problems = mean(Role::Up, &["worker.batch=0", "data.dir="]).unwrap_err();
        assert!(
            problems.starts_with("2 problems in the settings\n"),
            "{problems}"
        );
    }
}

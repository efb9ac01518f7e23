//! A whole system of separate processes on one private Redis and one archive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::process::Process;
use crate::redis::Redis;

/// Signs tokens of users whom a host vouches for. At least 32 bytes, and of no other use.
pub const HMAC_SECRET: &str = "only-for-tests-only-for-tests-only-for-tests";
/// Opens the server API.
pub const API_KEY: &str = "only-for-tests-key-only-for-tests-key";

/// A Redis, an archive, and any number of processes.
pub struct Cluster {
    /// The Redis that they share; not started if they use another.
    pub redis: Redis,
    redis_url: String,
    folder: TempDir,
    archive: String,
    settings: BTreeMap<String, String>,
}

/// Somebody with an account.
#[derive(Debug, Clone)]
pub struct Account {
    /// The id.
    pub id: String,
    /// A token.
    pub token: String,
}

impl Cluster {
    /// A Redis and an empty SQLite archive; no processes yet.
    ///
    /// # Errors
    /// If Redis cannot be started.
    pub fn new() -> Result<Self> {
        let redis = Redis::start()?;
        let url = redis.url();
        Self::on(redis, url)
    }

    /// The same over other Redis servers, whose life is the caller's.
    ///
    /// # Errors
    /// If there is no place for its files.
    pub fn over(url: &str) -> Result<Self> {
        Self::on(Redis::none()?, url.to_owned())
    }

    fn on(redis: Redis, redis_url: String) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chinwag-cluster-")
            .tempdir()?;
        let archive = format!("sqlite:{}", folder.path().join("archive.db").display());
        Ok(Self {
            redis,
            redis_url,
            folder,
            archive,
            settings: BTreeMap::new(),
        })
    }

    /// The same with another archive.
    #[must_use]
    pub fn with_archive(mut self, url: &str) -> Self {
        url.clone_into(&mut self.archive);
        self
    }

    /// The same with a setting for all processes that are started from now on.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts a process of a role: `gateway`, `fanout`, `presence` or `archiver`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, role: &str) -> Result<Process> {
        self.start_at(role, &self.redis_url)
    }

    /// The same with another way to Redis.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_at(&self, role: &str, redis: &str) -> Result<Process> {
        let mut arguments: Vec<String> = vec![role.to_owned()];
        let mut add =
            |flag: &str, value: &str| arguments.extend([flag.to_owned(), value.to_owned()]);
        add("--redis", redis);
        add("--admin-listen", "127.0.0.1:0");
        add("--data", &self.folder.path().display().to_string());
        if role == "gateway" {
            add("--listen", "127.0.0.1:0");
            add("--set", &format!("token.hmac_secret={HMAC_SECRET}"));
            add("--set", &format!("api.key={API_KEY}"));
        }
        if role == "gateway" || role == "archiver" {
            add("--archive", &self.archive);
        }
        for (key, value) in &self.settings {
            let section = key.split('.').next().unwrap_or_default();
            let concerns = match section {
                "gateway" | "account" | "token" | "api" | "namespaces" => role == "gateway",
                _ => true,
            };
            if concerns {
                add("--set", &format!("{key}={value}"));
            }
        }
        Process::start(arguments).with_context(|| format!("start a {role}"))
    }

    /// One worker of each kind.
    ///
    /// # Errors
    /// If one does not start.
    pub fn workers(&self) -> Result<Vec<Process>> {
        ["fanout", "presence", "archiver"]
            .into_iter()
            .map(|role| self.start(role))
            .collect()
    }

    /// The archive's URL.
    #[must_use]
    pub fn archive(&self) -> &str {
        &self.archive
    }
}

/// Registers somebody at a gateway.
///
/// # Errors
/// If that is refused.
pub fn register(gateway: &Process, name: &str) -> Result<Account> {
    let body =
        json!({ "name": name, "display_name": name.to_uppercase(), "password": "correct horse" });
    let (status, answer) = call(gateway, "POST", "/v1/users", "", Some(&body))?;
    if status != 201 {
        bail!("cannot register {name}: {status} {answer}");
    }
    let token = answer["token"].as_str().context("no token")?.to_owned();
    Ok(Account {
        id: answer["user"]["id"].as_str().context("no id")?.to_owned(),
        token,
    })
}

/// Sends a request to a gateway.
///
/// # Errors
/// If nobody answers.
pub fn call(
    gateway: &Process,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<http::Answer> {
    let public = gateway.public.as_deref().context("not a gateway")?;
    http::call(method, &format!("{public}{path}"), token, body)
}

/// Asks again until the answer is there.
///
/// # Errors
/// If it is not there in time; with what was expected.
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {within:?}");
        }
        #[expect(clippy::disallowed_methods, reason = "a test's thread may wait")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

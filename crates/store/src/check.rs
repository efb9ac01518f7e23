//! Whether a Redis server is fit to hold messages.

use crate::connect::Link;
use crate::error::{Error, Result};
use crate::value;

/// What the server says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Bytes it uses for data and buffers.
    pub used_memory: u64,
    /// Bytes it may use; 0 is no limit.
    pub maxmemory: u64,
    /// Connections it has.
    pub connected_clients: u64,
}

async fn info(link: &Link) -> Result<String> {
    let answer = link.query("info", &redis::cmd("INFO")).await?;
    match answer {
        redis::Value::VerbatimString { text, .. } => Ok(text),
        other => value::text("info", other),
    }
}

fn field<'a>(info: &'a str, name: &str) -> &'a str {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_default()
        .trim_end()
}

/// Refuses a server that would lose what it acknowledged; warns of one that may.
pub(crate) async fn fit(link: &Link) -> Result<()> {
    let info = info(link).await?;
    let refused = |problem: String| Error::Refused {
        command: "start",
        problem,
    };
    if field(&info, "loading") == "1" {
        return Err(Error::Unavailable("Redis is loading its data".to_owned()));
    }
    let version = field(&info, "redis_version");
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    if major < 7 {
        return Err(refused(format!(
            "Redis {version} has no functions; 7.0 or later is needed"
        )));
    }
    let policy = field(&info, "maxmemory_policy");
    if policy.starts_with("allkeys") {
        return Err(refused(format!(
            "maxmemory-policy is {policy}: Redis would throw away messages when memory is full; \
             run `redis-cli config set maxmemory-policy noeviction` and put it into redis.conf"
        )));
    }
    if policy != "noeviction" {
        tracing::warn!(
            policy,
            "maxmemory-policy may evict keys that expire, so repeated messages might be taken for \
             new ones; run `redis-cli config set maxmemory-policy noeviction`"
        );
    }
    if field(&info, "aof_enabled") != "1" {
        tracing::warn!(
            "the append-only file is off: a restart of Redis loses what is not archived; run \
             `redis-cli config set appendonly yes` and put it into redis.conf"
        );
    }
    if field(&info, "role") != "master" && !field(&info, "role").is_empty() {
        return Err(refused(
            "this Redis is a replica; name the primary".to_owned(),
        ));
    }
    Ok(())
}

pub(crate) async fn usage(link: &Link) -> Result<Usage> {
    let info = info(link).await?;
    let number = |name| field(&info, name).parse().unwrap_or(0);
    Ok(Usage {
        used_memory: number("used_memory"),
        maxmemory: number("maxmemory"),
        connected_clients: number("connected_clients"),
    })
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), "1048576");
        assert_eq!(field(info, "maxmemory"), "");
    }
}

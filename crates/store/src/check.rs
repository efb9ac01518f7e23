//! Whether Redis servers are fit to hold messages.

use futures_util::future::join_all;

use crate::error::{Error, Result};
use crate::route::Aim;
use crate::router::Router;
use crate::topology::{Address, Shape};
use crate::value;

/// What the server says of itself; of several, the fullest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Bytes it uses for data and buffers.
    pub used_memory: u64,
    /// Bytes it may use; 0 is no limit.
    pub maxmemory: u64,
    /// Connections it has.
    pub connected_clients: u64,
}

async fn info(link: &Router, address: &Address) -> Result<String> {
    let answer = link.query_at(address, "info", &redis::cmd("INFO")).await;
    match answer.map_err(|error| forbidden(error, address))? {
        redis::Value::VerbatimString { text, .. } => Ok(text),
        other => value::text("info", other),
    }
}

/// What to do about a user that may not ask, of whom Redis only says so. Functions run with the
/// rights of who calls them, so asking here is asking there.
fn forbidden(error: Error, address: &Address) -> Error {
    match error {
        Error::Refused { problem, .. } if problem.to_uppercase().contains("NOPERM") => {
            Error::Refused {
                command: "start",
                problem: format!(
                    "{address}: this user may not run INFO, and only by that a server which was \
                 restarted or promoted, and so may have lost messages, is told from one that was \
                 not: run `redis-cli acl setuser <name> +info`, or use a Redis that allows it"
                ),
            }
        }
        error => error,
    }
}

fn field<'a>(info: &'a str, name: &str) -> &'a str {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_default()
        .trim_end()
}

/// Refuses servers that would lose what they acknowledged; warns of those that may. One that does
/// not answer is waited for only if it is home: what is elsewhere should not wait for it.
pub(crate) async fn fit(link: &Router) -> Result<()> {
    let map = link.placement().known().await?;
    let shape = &link.placement().topology.shape;
    for address in map.addresses() {
        match info(link, address).await {
            Ok(info) => fit_one(&info, address, shape)?,
            Err(Error::Unavailable(problem)) if map.owner(Aim::home()) != Some(address) => {
                tracing::warn!(%address, problem, "starting without a Redis server");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Judges one server by what it says of itself.
fn fit_one(info: &str, address: &Address, shape: &Shape) -> Result<()> {
    let refused = |problem: String| Error::Refused {
        command: "start",
        problem: format!("{address}: {problem}"),
    };
    if field(info, "loading") == "1" {
        return Err(Error::Unavailable(format!(
            "{address}: Redis is loading its data"
        )));
    }
    is_as_named(field(info, "redis_mode"), shape).map_err(refused)?;
    let version = field(info, "redis_version");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.unwrap_or(0) < 7 {
        return Err(refused(format!(
            "Redis {version} has no functions; 7.0 or later is needed"
        )));
    }
    let policy = field(info, "maxmemory_policy");
    if policy.starts_with("allkeys") {
        return Err(refused(format!(
            "maxmemory-policy is {policy}: Redis would throw away messages when memory is full; \
             run `redis-cli config set maxmemory-policy noeviction` and put it into redis.conf"
        )));
    }
    if field(info, "role") != "master" && !field(info, "role").is_empty() {
        return Err(refused(
            "this Redis is a replica; name the primary".to_owned(),
        ));
    }
    warn(info, address, shape);
    Ok(())
}

/// Whether the server is of the kind that the URL says.
fn is_as_named(mode: &str, shape: &Shape) -> Result<(), String> {
    let is_cluster = matches!(shape, Shape::Cluster(_));
    match mode {
        "sentinel" => Err("this is a sentinel; write redis+sentinel://HOST:PORT/NAME".to_owned()),
        "cluster" if !is_cluster => {
            Err("this is a server of a cluster; write redis+cluster://HOST:PORT".to_owned())
        }
        "standalone" if is_cluster => {
            Err("this is no server of a cluster; write redis://HOST:PORT".to_owned())
        }
        _ => Ok(()),
    }
}

/// Says what may be lost, and how to keep it.
fn warn(info: &str, address: &Address, shape: &Shape) {
    let policy = field(info, "maxmemory_policy");
    if policy != "noeviction" {
        tracing::warn!(
            %address,
            policy,
            "maxmemory-policy may evict keys that expire, so repeated messages might be taken for \
             new ones; run `redis-cli config set maxmemory-policy noeviction`"
        );
    }
    if field(info, "aof_enabled") != "1" {
        tracing::warn!(
            %address,
            "the append-only file is off: a restart of Redis loses what is not archived; run \
             `redis-cli config set appendonly yes` and put it into redis.conf"
        );
    }
    // Redis tells of good replicas only where some are demanded.
    let may_fail_over = matches!(shape, Shape::Sentinel { .. } | Shape::Cluster(_));
    if may_fail_over && field(info, "min_slaves_good_slaves").is_empty() {
        tracing::warn!(
            %address,
            "a primary that is cut off goes on acknowledging what its successor will not have; run \
             `redis-cli config set min-replicas-to-write 1` and `redis-cli config set \
             min-replicas-max-lag 10`, and put both into redis.conf of all servers"
        );
    }
}

/// What the fullest server says, and the connections of all. Those that do not answer do not
/// count, unless none does.
pub(crate) async fn usage(link: &Router) -> Result<Usage> {
    let map = link.placement().known().await?;
    let asked = map.addresses().iter().map(|address| info(link, address));
    let (mut fullest, mut failed, mut clients) = (None::<Usage>, None, 0);
    for info in join_all(asked).await {
        let info = match info {
            Ok(info) => info,
            Err(error) => {
                failed = Some(error);
                continue;
            }
        };
        let number = |name| field(&info, name).parse().unwrap_or(0);
        let usage = Usage {
            used_memory: number("used_memory"),
            maxmemory: number("maxmemory"),
            connected_clients: number("connected_clients"),
        };
        clients += usage.connected_clients;
        if fullest.is_none_or(|fullest| usage.fullness() > fullest.fullness()) {
            fullest = Some(usage);
        }
    }
    match (fullest, failed) {
        (Some(fullest), _) => Ok(Usage {
            connected_clients: clients,
            ..fullest
        }),
        (None, error) => {
            Err(error.unwrap_or_else(|| Error::Unavailable("no Redis server".to_owned())))
        }
    }
}

impl Usage {
    /// The used share of the memory in millionths; of two without a limit the greater is fuller.
    fn fullness(&self) -> (u128, u64) {
        let limit = u128::from(self.maxmemory);
        let share = (u128::from(self.used_memory) * 1_000_000).checked_div(limit);
        (share.unwrap_or(0), self.used_memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), "1048576");
        assert_eq!(field(info, "maxmemory"), "");
    }

    #[test]
    fn a_server_of_another_kind_than_the_url_says_is_refused_with_the_url_to_write() {
        let at = Address::Tcp("h".to_owned(), 1);
        let (one, cluster) = (Shape::One(at.clone()), Shape::Cluster(vec![at.clone()]));
        let judge = |mode: &str, shape: &Shape| {
            let info = format!("redis_version:7.0.1\r\nredis_mode:{mode}\r\nrole:master\r\n");
            fit_one(&info, &at, shape).map_err(|error| error.to_string())
        };
        assert_eq!(judge("standalone", &one), Ok(()));
        assert_eq!(judge("cluster", &cluster), Ok(()));
        for (mode, shape, fix) in [
            ("cluster", &one, "redis+cluster://"),
            ("sentinel", &one, "redis+sentinel://"),
            ("standalone", &cluster, "write redis://"),
        ] {
            let problem = judge(mode, shape).unwrap_err();
            assert!(problem.contains(fix), "{problem}");
        }
    }

    #[test]
    fn the_fuller_of_two_servers_is_the_one_nearer_to_its_limit() {
        let usage = |used_memory, maxmemory| Usage {
            used_memory,
            maxmemory,
            connected_clients: 0,
        };
        assert!(usage(8, 10).fullness() > usage(70, 100).fullness());
        assert!(usage(8, 0).fullness() > usage(7, 0).fullness());
    }
}

//! Asking who the primaries are: sentinels for theirs, a cluster's servers for all of them.
//!
//! Several are asked at once, because any may be dead and any may be wrong: a sentinel or a primary that
//! was cut off knows nothing of the failover that happened without it. The highest configuration
//! epoch is right; that is what Redis itself goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Client, Cmd, ProtocolVersion, Value};

use crate::connect::Config;
use crate::error::{Error, Result};
use crate::partition::SLOTS;
use crate::placement::Map;
use crate::topology::{Address, Shape, Topology};
use crate::value::{self, Fields};

/// How long one of them may take to connect, and to answer: the others are waited for no longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Servers of a cluster that are asked at once.
const ASKED: usize = 8;

/// Asks for the map of now.
///
/// # Errors
/// `Unavailable` if nobody could say.
pub(crate) async fn map(topology: &Topology, config: &Config, known: &Map) -> Result<Map> {
    match &topology.shape {
        Shape::One(address) => Ok(Map::one(address.clone())),
        Shape::Map(_) => Err(Error::Unavailable(
            "a partition map never changes".to_owned(),
        )),
        Shape::Sentinel { sentinels, master } => {
            let mut question = redis::cmd("SENTINEL");
            question.arg("MASTER").arg(master);
            let clients = sentinels
                .iter()
                .map(|at| (at.clone(), topology.sentinel_client(at)));
            let answers = ask(clients, config, &question).await;
            primary(answers, master).map(Map::one)
        }
        Shape::Cluster(seeds) => {
            let mut servers: Vec<Address> = known.addresses().to_vec();
            servers.extend(
                seeds
                    .iter()
                    .filter(|seed| !known.addresses().contains(seed))
                    .cloned(),
            );
            // Another eight each time, should there be more.
            let by = usize::try_from(known.generation).unwrap_or(0) % servers.len().max(1);
            servers.rotate_left(by);
            let client = |at: &Address| topology.client(at, ProtocolVersion::RESP2);
            let clients = servers
                .iter()
                .take(ASKED)
                .map(|at| (at.clone(), client(at)));
            let mut question = redis::cmd("CLUSTER");
            question.arg("NODES");
            cluster(ask(clients, config, &question).await)
        }
    }
}

/// Has most of the sentinels say that the map's server is the primary. Where servers are not watched
/// by sentinels there is nobody to ask: one server is what it is, and a cluster's primary that was
/// cut off from most others takes no writes.
///
/// # Errors
/// `Unavailable` if they do not.
pub(crate) async fn confirm(topology: &Topology, config: &Config, map: &Map) -> Result<()> {
    let Shape::Sentinel { sentinels, master } = &topology.shape else {
        return Ok(());
    };
    let mut question = redis::cmd("SENTINEL");
    question.arg("MASTER").arg(master);
    let clients = sentinels
        .iter()
        .map(|at| (at.clone(), topology.sentinel_client(at)));
    let answers = ask(clients, config, &question).await;
    let of = answers.len();
    match map.addresses() {
        [address] if most(answers, address) => Ok(()),
        addresses => Err(Error::Unavailable(format!(
            "most of the {of} sentinels do not say that {} is the primary {master}",
            addresses
                .first()
                .map_or_else(String::new, Address::to_string)
        ))),
    }
}

/// Whether more than half of those who were asked, silent ones included, name this server.
fn most(answers: Vec<Answer>, address: &Address) -> bool {
    let of = answers.len();
    let names = |(_, answer): Answer| {
        let watched = answer.and_then(watched);
        watched.is_ok_and(|(_, named)| named == *address)
    };
    answers
        .into_iter()
        .map(names)
        .filter(|named| *named)
        .count()
        * 2
        > of
}

type Answer = (Address, Result<Value>);

async fn ask(
    clients: impl Iterator<Item = (Address, Result<Client>)>,
    config: &Config,
    question: &Cmd,
) -> Vec<Answer> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout.min(PATIENCE)))
        .set_response_timeout(Some(config.response_timeout.min(PATIENCE)));
    let limits = &limits;
    let answers = clients.map(|(address, client)| async move {
        let asked = async {
            let failed = |error: redis::RedisError| Error::of("discover", &error);
            let connected = client?
                .get_multiplexed_async_connection_with_config(limits)
                .await;
            let mut connection = connected.map_err(failed)?;
            let answer = connection.send_packed_command(question).await;
            answer.and_then(Value::extract_error).map_err(failed)
        };
        (address, asked.await)
    });
    join_all(answers).await
}

/// What sentinels say, by the one that knows of the latest failover.
fn primary(answers: Vec<Answer>, master: &str) -> Result<Address> {
    let mut problems = Problems::default();
    let mut best: Option<(u64, Address)> = None;
    for (sentinel, answer) in answers {
        match answer.and_then(watched) {
            Ok((epoch, address)) if best.as_ref().is_none_or(|(known, _)| epoch > *known) => {
                best = Some((epoch, address));
            }
            Ok(_) => {}
            Err(error) => problems.note(&sentinel, &error),
        }
    }
    let nobody = || problems.error(&format!("no sentinel knows the primary {master}"));
    best.map(|(_, address)| address).ok_or_else(nobody)
}

/// Why those who were asked did not say.
#[derive(Default)]
struct Problems {
    shown: Vec<String>,
    /// Somebody answered, and will not answer otherwise if asked again.
    refused: bool,
}

impl Problems {
    fn note(&mut self, asked: &Address, error: &Error) {
        self.refused |= matches!(error, Error::Refused { .. });
        self.shown.push(format!("{asked}: {error}"));
    }

    fn error(&self, what: &str) -> Error {
        let mut problem = format!("{what}; {}", self.shown.join("; "));
        if problem.contains("cluster support disabled") {
            problem.push_str("; write redis://HOST:PORT for a server that is in no cluster");
        }
        if self.refused {
            let command = "start";
            return Error::Refused { command, problem };
        }
        Error::Unavailable(problem)
    }
}

/// The configuration epoch and address in a sentinel's answer.
fn watched(answer: Value) -> Result<(u64, Address)> {
    let mut fields = Fields::of("sentinel", answer)?;
    let mut found = BTreeMap::new();
    while !fields.is_empty() {
        found.insert(fields.text()?, fields.value()?);
    }
    let mut field = |name: &str| {
        let missing = || Error::corrupt("sentinel", format!("no {name}"));
        found.remove(name).ok_or_else(missing)
    };
    let epoch = value::number("sentinel", &field("config-epoch")?)?;
    let host = value::text("sentinel", field("ip")?)?;
    let port = value::number("sentinel", &field("port")?)?;
    let port = u16::try_from(port).map_err(|error| Error::corrupt("sentinel", error))?;
    Ok((epoch, Address::Tcp(host, port)))
}

/// What servers of a cluster say, slot by slot by whom is right.
fn cluster(answers: Vec<Answer>) -> Result<Map> {
    let mut problems = Problems::default();
    let mut table: Vec<Option<(u64, usize)>> = vec![None; usize::from(SLOTS)];
    let mut addresses: Vec<Address> = Vec::new();
    for (server, answer) in answers {
        let answer = answer.and_then(|answer| value::text("cluster nodes", answer));
        let view = match answer {
            Ok(view) => view,
            Err(error) => {
                problems.note(&server, &error);
                continue;
            }
        };
        for Share {
            address,
            epoch,
            slots,
        } in view.lines().filter_map(|line| share(line, &server))
        {
            let known = addresses.iter().position(|known| *known == address);
            let place = known.unwrap_or_else(|| {
                addresses.push(address);
                addresses.len() - 1
            });
            for (first, last) in slots {
                for slot in table.iter_mut().take(last + 1).skip(first) {
                    if slot.is_none_or(|(known, _)| epoch > known) {
                        *slot = Some((epoch, place));
                    }
                }
            }
        }
    }
    if table.iter().all(Option::is_none) {
        return Err(problems.error("nobody has any slot of the cluster"));
    }
    let table: Vec<Option<usize>> = table
        .iter()
        .map(|slot| slot.map(|(_, place)| place))
        .collect();
    Ok(in_order(&addresses, &table))
}

/// The map of those that have anything, in an order that does not depend on who was asked.
fn in_order(addresses: &[Address], table: &[Option<usize>]) -> Map {
    let used = |place: &usize| table.contains(&Some(*place));
    let mut order: Vec<usize> = (0..addresses.len()).filter(used).collect();
    order.sort_by_key(|place| addresses.get(*place));
    let table: Vec<Option<usize>> = table
        .iter()
        .map(|place| place.and_then(|place| order.iter().position(|known| *known == place)))
        .collect();
    let sorted = order
        .iter()
        .filter_map(|place| addresses.get(*place).cloned());
    Map::cluster(sorted.collect(), &table)
}

/// What one primary has, in somebody's eyes.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    address: Address,
    epoch: u64,
    slots: Vec<(usize, usize)>,
}

/// A line of `CLUSTER NODES`: id, address, flags, its primary, ping, pong, epoch, link, slots.
fn share(line: &str, asked: &Address) -> Option<Share> {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, address, flags, _, _, _, epoch, _, slots @ ..] = words.as_slice() else {
        return None;
    };
    let has = |flag: &str| flags.split(',').any(|known| known == flag);
    if !has("master") || has("fail") || has("noaddr") || has("handshake") {
        return None;
    }
    // `host:port@bus`, and maybe a name; a server that was never told its own address has none.
    let (host, port) = address.split_once('@')?.0.rsplit_once(':')?;
    let host = match (host, asked) {
        ("", Address::Tcp(host, _)) => host.clone(),
        _ => host.to_owned(),
    };
    let range = |slot: &&str| {
        let (first, last) = slot.split_once('-').unwrap_or((slot, slot));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    Some(Share {
        address: Address::Tcp(host, port.parse().ok()?),
        epoch: epoch.parse().ok()?,
        slots: slots.iter().filter_map(range).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Aim;

    fn tcp(port: u16) -> Address {
        Address::Tcp("10.0.0.1".to_owned(), port)
    }

    fn view(port: u16, lines: &[&str]) -> Answer {
        (tcp(port), Ok(Value::BulkString(lines.join("\n").into())))
    }

    fn owner(map: &Map, slot: u16) -> Option<&Address> {
        map.owner(Aim { slot, tagged: true })
    }

    #[test]
    fn the_latest_configuration_of_a_slot_is_right() {
        let stale = view(
            1,
            &["a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-8191"],
        );
        let fresh = view(
            2,
            &[
                "a 10.0.0.1:1@2 master,fail - 0 0 1 disconnected 0-10",
                "b 10.0.0.1:2@3,name.example myself,master - 0 0 4 connected 0-8190 [8191->-a]",
                "c 10.0.0.1:3@4 slave b 0 0 4 connected",
            ],
        );
        for answers in [[stale.clone(), fresh.clone()], [fresh, stale]] {
            let map = cluster(answers.to_vec()).unwrap();
            assert_eq!(owner(&map, 5), Some(&tcp(2)));
            assert_eq!(owner(&map, 8191), Some(&tcp(1)));
            assert_eq!(owner(&map, 9000), None);
            assert_eq!(map.addresses(), [tcp(1), tcp(2)]);
        }
    }

    #[test]
    fn a_server_that_does_not_know_its_address_has_the_one_it_was_asked_at() {
        let map = cluster(vec![view(
            7,
            &["a :7@8 myself,master - 0 0 0 connected 0-16383"],
        )]);
        assert_eq!(map.unwrap().addresses(), [tcp(7)]);
    }

    #[test]
    fn a_cluster_that_nobody_can_speak_for_is_unavailable() {
        let dead = (tcp(1), Err(Error::Unavailable("gone".to_owned())));
        let error = cluster(vec![dead, view(2, &["nonsense"])]).unwrap_err();
        assert!(
            error.to_string().contains("10.0.0.1:1: reach Redis: gone"),
            "{error}"
        );
    }

    #[test]
    fn the_sentinel_that_saw_the_latest_failover_is_right() {
        let says = |epoch: &str, port: &str| {
            let words = [
                "name",
                "m",
                "ip",
                "10.0.0.1",
                "port",
                port,
                "config-epoch",
                epoch,
            ];
            let words = words
                .iter()
                .map(|word| Value::BulkString(word.as_bytes().to_vec()));
            (tcp(9), Ok(Value::Array(words.collect())))
        };
        let dead = (tcp(8), Err(Error::Unavailable("gone".to_owned())));
        let answers = vec![
            says("3", "1"),
            dead.clone(),
            says("10", "2"),
            says("9", "3"),
        ];
        assert_eq!(primary(answers.clone(), "m").unwrap(), tcp(2));
        assert!(!most(answers, &tcp(2)), "one of four");
        let half = vec![says("10", "2"), dead.clone(), says("10", "2"), dead.clone()];
        assert!(!most(half, &tcp(2)), "two of four");
        let more = vec![says("10", "2"), dead.clone(), says("10", "2")];
        assert!(most(more, &tcp(2)));
        let error = primary(vec![dead], "m").unwrap_err().to_string();
        assert!(error.contains("no sentinel knows the primary m"), "{error}");
    }
}

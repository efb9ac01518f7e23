//! Where Redis is, as its URL says. Pure: nothing is opened here.
//!
//! | URL | what it means |
//! |---|---|
//! | `redis://host:port/db`, `redis+unix:///path` | one server |
//! | `redis://a:1,b:2,c:3/db` | several servers; the order is for ever, the first is home |
//! | `redis+sentinel://s1:26379,s2:26379/name?db=0` | whichever server the sentinels say is `name` |
//! | `redis+cluster://a:1,b:2` | a cluster, found through any of these |
//!
//! `user:password@` before the hosts is for the servers; what the sentinels want of their own comes as
//! `sentinel_user` and `sentinel_password` after the question mark.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo,
};

use crate::error::{Error, Result};

/// More servers than this are a mistake in the URL.
const MOST_HOSTS: usize = 64;

/// One server's place. Shown in errors, so there is no password in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// A socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(formatter, "{host}:{port}"),
            Address::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// How servers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One server.
    One(Address),
    /// One server at a time, whose place sentinels know.
    Sentinel {
        /// Those who know it.
        sentinels: Vec<Address>,
        /// The name under which they watch it.
        master: String,
    },
    /// A Redis Cluster, which tells by itself who has what.
    Cluster(Vec<Address>),
    /// Servers that know nothing of each other; each has a fixed share.
    Map(Vec<Address>),
}

/// The parsed URL.
#[derive(Clone)]
pub(crate) struct Topology {
    pub(crate) shape: Shape,
    /// User, password and database of the servers.
    access: RedisConnectionInfo,
    /// User and password of the sentinels.
    sentinel_access: RedisConnectionInfo,
}

impl Topology {
    /// Reads a URL.
    ///
    /// # Errors
    /// `Refused`, saying what is wrong with it, without the password in it.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        Self::read(url).map_err(|problem| Error::Refused {
            command: "start",
            problem,
        })
    }

    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("a URL is needed, such as redis://127.0.0.1:6379")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let parts = || Parts::of(rest);
        match scheme {
            "redis+sentinel" => sentinel(&parts()?),
            "redis+cluster" => cluster(&parts()?),
            "redis" if hosts_of(authority).contains(',') => map(&parts()?),
            _ => one(url),
        }
    }

    /// The client for a server. Opens nothing.
    pub(crate) fn client(&self, address: &Address, protocol: ProtocolVersion) -> Result<Client> {
        client(address, self.access.clone().set_protocol(protocol))
    }

    /// The client for a sentinel.
    pub(crate) fn sentinel_client(&self, address: &Address) -> Result<Client> {
        client(address, self.sentinel_access.clone())
    }
}

fn client(address: &Address, access: RedisConnectionInfo) -> Result<Client> {
    // Nagle's algorithm would hold small commands back for the peer's delayed acknowledgement.
    // The user timeout ends a connection whose peer has silently vanished.
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_user_timeout(Duration::from_secs(10));
    let address = match address {
        Address::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
        Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let info = address
        .into_connection_info()
        .map(|info| info.set_tcp_settings(tcp).set_redis_settings(access));
    info.and_then(Client::open)
        .map_err(|error| Error::Unavailable(error.to_string()))
}

/// What stands behind `://`.
struct Parts<'a> {
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let pair = pair.split_once('=');
            pairs.push(pair.ok_or("what follows ? must be name=value")?);
        }
        Ok(Self {
            user,
            hosts: hosts_of(authority),
            path,
            query: pairs,
        })
    }

    fn query(&self, allowed: &[&str], name: &str) -> Result<&'a str, String> {
        if let Some((unknown, _)) = self.query.iter().find(|(key, _)| !allowed.contains(key)) {
            return Err(format!("?{unknown}= is not known here"));
        }
        let found = self.query.iter().find(|(key, _)| *key == name);
        Ok(found.map_or("", |(_, value)| value))
    }

    fn addresses(&self, port: u16) -> Result<Vec<Address>, String> {
        let mut found = Vec::new();
        for host in self.hosts.split(',') {
            let address = address(host, port)?;
            if found.contains(&address) {
                return Err(format!("{address} is named twice"));
            }
            found.push(address);
        }
        if found.len() > MOST_HOSTS {
            return Err(format!("more than {MOST_HOSTS} hosts"));
        }
        Ok(found)
    }

    fn access(&self, db: &str) -> Result<RedisConnectionInfo, String> {
        access(self.user, db)
    }
}

fn hosts_of(authority: &str) -> &str {
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts)
}

/// `host`, `host:port` or `[address]:port`.
fn address(text: &str, default_port: u16) -> Result<Address, String> {
    let wrong = || format!("{text:?} is no host:port");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_odd = |letter: char| !(letter.is_ascii_alphanumeric() || "._-:%".contains(letter));
    if host.is_empty() || host.contains(is_odd) {
        return Err(wrong());
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => default_port,
    };
    if port == 0 {
        return Err(wrong());
    }
    Ok(Address::Tcp(host.to_owned(), port))
}

/// Has the library read user, password and database, as it does in every other URL.
fn access(user: &str, db: &str) -> Result<RedisConnectionInfo, String> {
    let at = if user.is_empty() { "" } else { "@" };
    let info = format!("redis://{user}{at}localhost/{db}");
    let info = info.as_str().into_connection_info();
    info.map(|info| info.redis_settings().clone())
        .map_err(|error| error.to_string())
}

fn one(url: &str) -> Result<Topology, String> {
    let info: ConnectionInfo = url
        .into_connection_info()
        .map_err(|error| error.to_string())?;
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
        ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
        _ => return Err("this program was built without TLS".to_owned()),
    };
    Ok(Topology {
        shape: Shape::One(address),
        access: info.redis_settings().clone(),
        sentinel_access: RedisConnectionInfo::default(),
    })
}

fn sentinel(parts: &Parts<'_>) -> Result<Topology, String> {
    const ALLOWED: [&str; 3] = ["db", "sentinel_user", "sentinel_password"];
    let master = parts.path;
    let is_odd = |letter: char| !(letter.is_ascii_alphanumeric() || "._-".contains(letter));
    if master.is_empty() || master.contains(is_odd) {
        return Err(format!(
            "the name that the sentinels watch is missing or odd: {master:?}; \
             redis+sentinel://host:26379,host:26379/mymaster"
        ));
    }
    let (user, password) = (
        parts.query(&ALLOWED, "sentinel_user")?,
        parts.query(&ALLOWED, "sentinel_password")?,
    );
    let sentinel_user = if password.is_empty() {
        String::new()
    } else {
        format!("{user}:{password}")
    };
    Ok(Topology {
        shape: Shape::Sentinel {
            sentinels: parts.addresses(26379)?,
            master: master.to_owned(),
        },
        access: parts.access(parts.query(&ALLOWED, "db")?)?,
        sentinel_access: access(&sentinel_user, "")?,
    })
}

fn cluster(parts: &Parts<'_>) -> Result<Topology, String> {
    parts.query(&[], "")?;
    if !["", "0"].contains(&parts.path) {
        return Err("a cluster has no databases but 0".to_owned());
    }
    Ok(Topology {
        shape: Shape::Cluster(parts.addresses(6379)?),
        access: parts.access("")?,
        sentinel_access: RedisConnectionInfo::default(),
    })
}

fn map(parts: &Parts<'_>) -> Result<Topology, String> {
    parts.query(&[], "")?;
    Ok(Topology {
        shape: Shape::Map(parts.addresses(6379)?),
        access: parts.access(parts.path)?,
        sentinel_access: RedisConnectionInfo::default(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    fn shape(url: &str) -> Shape {
        Topology::read(url).unwrap().shape
    }

    #[test]
    fn each_topology_has_its_url() {
        assert_eq!(shape("redis://h:1/2"), Shape::One(tcp("h", 1)));
        assert_eq!(shape("redis://u:p%2C@h"), Shape::One(tcp("h", 6379)));
        assert_eq!(
            shape("redis+unix:///run/r.sock"),
            Shape::One(Address::Unix("/run/r.sock".into()))
        );
        assert_eq!(
            shape("redis://:p,w@a:1,[::1]:2,c"),
            Shape::Map(vec![tcp("a", 1), tcp("::1", 2), tcp("c", 6379)])
        );
        assert_eq!(
            shape("redis+cluster://a:1,b"),
            Shape::Cluster(vec![tcp("a", 1), tcp("b", 6379)])
        );
        let Shape::Sentinel { sentinels, master } = shape("redis+sentinel://a,b:5/chat.1?db=3")
        else {
            panic!("no sentinels");
        };
        assert_eq!(sentinels, [tcp("a", 26379), tcp("b", 5)]);
        assert_eq!(master, "chat.1");
    }

    #[test]
    fn users_and_passwords_are_those_of_the_url() {
        let topology = Topology::read("redis+sentinel://u:p%40w@a/m?db=3&sentinel_password=s");
        let topology = topology.unwrap();
        assert_eq!(topology.access.username(), Some("u"));
        assert_eq!(topology.access.password(), Some("p@w"));
        assert_eq!(topology.access.db(), 3);
        assert_eq!(topology.sentinel_access.password(), Some("s"));
        assert_eq!(topology.sentinel_access.username(), None);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, expected) in [
            ("nonsense", "a URL is needed"),
            ("redis://a:1,a:1", "a:1 is named twice"),
            ("redis://a:1,b:x", "\"b:x\" is no host:port"),
            ("redis://a:1,", "\"\" is no host:port"),
            ("redis://a:0,b:1", "\"a:0\" is no host:port"),
            ("redis+sentinel://a:1", "the name that the sentinels watch"),
            ("redis+sentinel://a:1/m?dp=1", "?dp= is not known here"),
            ("redis+cluster://a:1/3", "a cluster has no databases"),
            ("redis://secret@:1,b", "\":1\" is no host:port"),
        ] {
            let problem = Topology::read(url).err().unwrap();
            assert!(problem.contains(expected), "{url}: {problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(url in ".*", rest in "[a-z0-9:,@/?=\\[\\]%.]*") {
            drop(Topology::read(&url));
            for scheme in ["redis", "redis+sentinel", "redis+cluster", "redis+unix"] {
                drop(Topology::read(&format!("{scheme}://{rest}")));
            }
        }

        #[test]
        fn addresses_read_back_as_they_are_shown(
            hosts in proptest::collection::btree_set(
                ("[a-z][a-z0-9.-]{0,8}|::1|fe80::[0-9]", 1u16..), 2..10)
        ) {
            let addresses: Vec<Address> = hosts.iter().map(|(host, port)| tcp(host, *port)).collect();
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let url = format!("redis://user:word@{}/1", shown.join(","));
            prop_assert_eq!(shape(&url), Shape::Map(addresses));
        }
    }
}

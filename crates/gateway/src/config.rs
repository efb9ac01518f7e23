//! What a gateway is told: limits, times, secrets, and the policy of each namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

pub use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::Kind;
use chinwag_protocol::id::RoomId;
use chinwag_store::append::Rules;
use thiserror::Error;

/// Everything a gateway is told. Made by the binary from settings that were checked there.
#[derive(Debug, Clone)]
pub struct Config {
    /// Threads that own connections; each has its own runtime and its own connection to Redis.
    pub threads: usize,
    /// Origins (scheme, host and port) of pages that may connect besides the gateway's own.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections at once from one address.
    pub max_connections_per_address: usize,
    /// New sessions a second, in the long run; 0 is no limit.
    pub connects_per_second: u32,
    /// New sessions at once.
    pub connects_burst: u32,
    /// Most connections that have said nothing of use yet.
    pub max_pending: usize,
    /// Most of these from one address.
    pub max_pending_per_address: usize,
    /// How long the HTTP request line and headers may take.
    pub handshake_timeout: Duration,
    /// How long a socket may stay silent before its `connect` command.
    pub connect_timeout: Duration,
    /// Time between pings.
    pub ping_interval: Duration,
    /// How long a pong may take.
    pub pong_timeout: Duration,
    /// How long a peer for whom something waits may take nothing of it.
    pub stalled: Duration,
    /// Largest frame from a client, in bytes.
    pub message_limit: usize,
    /// Most bytes that wait for one connection.
    pub outbox_limit: usize,
    /// Most bytes of recent events that are kept in memory, of all rooms.
    pub recent_limit: usize,
    /// Most subscriptions of one connection.
    pub subscriptions_per_connection: usize,
    /// Most rooms to which a session is subscribed by itself when it connects.
    pub rooms_on_connect: usize,
    /// Commands a second that one connection may send in the long run, and requests a second that
    /// one user may; 0 is no limit.
    pub commands_per_second: u32,
    /// Whether connections without a token are let in.
    pub anonymous: bool,
    /// Whether sessions are subscribed to their personal channel by themselves.
    pub personal_channel: bool,
    /// How long connections may take to go when the gateway stops.
    pub drain: Duration,
    /// Whether anybody may register.
    pub registration_open: bool,
    /// How long our own tokens are good.
    pub token_lifetime: Duration,
    /// How many passwords are hashed at once.
    pub hash_parallelism: usize,
    /// How many may wait for that.
    pub hash_queue: usize,
    /// Verifies foreign tokens (JWT, HS256). Without it there are none.
    pub hmac_secret: Option<Secret>,
    /// Opens the server API. Without it the API is off.
    pub api_key: Option<Secret>,
    /// How safe messages are before they are acknowledged, where neither sender nor room say.
    pub ack: Ack,
    /// How long that may be waited for.
    pub ack_timeout: Duration,
    /// How many replicas of Redis must have a message that is to be `replicated`; 0: there are
    /// none.
    pub replicas: u32,
    /// From how much of Redis's memory on, in percent, no messages are taken; 0: as long as Redis
    /// takes them.
    pub full_percent: u32,
    /// The lease on the gateway's name.
    pub lease: Duration,
    /// What may be done in which channels.
    pub namespaces: Namespaces,
}

/// Addresses that begin with the same bits: `10.0.0.0/8`, or one address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is not a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be an address, or an address and a number of bits as in 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits
            .map_or(Ok(most), str::parse)
            .map_err(|_| InvalidNetwork)?;
        if bits > most {
            return Err(InvalidNetwork);
        }
        Ok(Self { address, bits })
    }
}

/// Bytes that never show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps `bytes` from being shown.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Policies by namespace; the default one's name is the empty text.
#[derive(Debug, Clone, Default)]
pub struct Namespaces(pub BTreeMap<String, Policy>);

/// What may be done in the channels of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, by name"
)]
pub struct Policy {
    /// Only members of a room may do anything in it; else anyone with a valid token may.
    pub members_only: bool,
    /// How many events the recent history holds.
    pub history_size: u32,
    /// How long it lives after the last event, in seconds; 0 is for ever.
    pub history_seconds: u32,
    /// Whether it is known who is subscribed.
    pub presence: bool,
    /// Whether subscribers hear who comes and goes.
    pub join_leave: bool,
    /// Whether subscribers may publish.
    pub publish: bool,
    /// Whether subscribers may read the history.
    pub history: bool,
    /// Whether subscribers may read the presence.
    pub presence_read: bool,
    /// Whether subscriptions are recoverable even if the client does not ask for it.
    pub force_recovery: bool,
    /// Whether a subscription needs a token of its own.
    pub token_required: bool,
}

impl Policy {
    /// How a room of this policy is written to.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            members_only: self.members_only,
            history_size: self.history_size,
            history_seconds: self.history_seconds,
        }
    }
}

impl Namespaces {
    /// The policy for a channel, if its namespace exists. Personal channels have one of their own.
    #[must_use]
    pub fn policy(&self, room: &RoomId) -> Option<Policy> {
        if room.personal_owner().is_some() {
            return Some(PERSONAL);
        }
        self.0.get(room.namespace()).copied()
    }

    /// The kind that a room has which Redis does not know.
    #[must_use]
    pub fn kind(&self, room: &RoomId) -> Kind {
        if room.personal_owner().is_some() {
            return Kind::User;
        }
        match (room.namespace(), self.policy(room)) {
            ("dm", _) => Kind::Dm,
            (_, Some(policy)) if policy.members_only => Kind::Group,
            _ => Kind::Channel,
        }
    }
}

/// A personal channel is written by the server alone; its owner reads it. Nobody is told who comes and
/// goes there: with many sessions of one user each would hear of each.
const PERSONAL: Policy = Policy {
    members_only: false,
    history_size: 100,
    history_seconds: 86_400,
    presence: true,
    join_leave: false,
    publish: false,
    history: true,
    presence_read: true,
    force_recovery: true,
    token_required: false,
};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Something to change in a test.
    pub(crate) fn config() -> Config {
        Config {
            threads: 1,
            allowed_origins: Vec::new(),
            trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
            max_connections: 100,
            max_connections_per_address: 100,
            connects_per_second: 0,
            connects_burst: 1,
            max_pending: 100,
            max_pending_per_address: 100,
            handshake_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            message_limit: 65_536,
            stalled: Duration::from_secs(30),
            outbox_limit: 262_144,
            recent_limit: 1_000_000,
            subscriptions_per_connection: 100,
            rooms_on_connect: 100,
            commands_per_second: 0,
            anonymous: false,
            personal_channel: true,
            drain: Duration::from_secs(1),
            registration_open: true,
            token_lifetime: Duration::from_secs(3600),
            hash_parallelism: 2,
            hash_queue: 32,
            hmac_secret: None,
            api_key: None,
            ack: Ack::Accepted,
            ack_timeout: Duration::from_secs(5),
            replicas: 0,
            full_percent: 80,
            lease: Duration::from_secs(15),
            namespaces: Namespaces::default(),
        }
    }

    #[test]
    fn a_network_contains_what_begins_with_its_bits() {
        let check = |network: &str, address: &str, expected: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network:?} {address}"
            );
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::1", "::1", true);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in [
            "",
            "ten",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "/8",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(InvalidNetwork), "{wrong:?}");
        }
    }
}

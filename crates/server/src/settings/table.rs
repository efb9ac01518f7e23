//! The one source of all settings.

use super::kind::Kind::{
    self, Address, Choice, Filter, Integer, Networks, Origins, Path, Secret, Switch, Url,
};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `section.key`; in [`NAMESPACE`], the key alone.
    pub name: &'static str,
    /// Its type and limits.
    pub kind: Kind,
    /// As it would be written in the environment.
    pub default: &'static str,
    /// The subcommands that use it.
    pub roles: &'static [Role],
    /// What it means, in whole sentences.
    pub help: &'static str,
}

/// A subcommand that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    Up,
    /// Where clients connect.
    Gateway,
    /// Tells members who are online but not listening.
    Fanout,
    /// Who is online.
    Presence,
    /// Moves the log into the archive.
    Archiver,
}

impl Role {
    /// The subcommand.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Gateway => "gateway",
            Self::Fanout => "fanout",
            Self::Presence => "presence",
            Self::Archiver => "archiver",
        }
    }
}

/// All of them.
pub const ALL: &[Role] = &[
    Role::Up,
    Role::Gateway,
    Role::Fanout,
    Role::Presence,
    Role::Archiver,
];
const UP: &[Role] = &[Role::Up];
const GATEWAY: &[Role] = &[Role::Up, Role::Gateway];
const ARCHIVE: &[Role] = &[Role::Up, Role::Gateway, Role::Archiver];
const WORKERS: &[Role] = &[Role::Up, Role::Fanout, Role::Presence, Role::Archiver];
const LOG_WORKERS: &[Role] = &[Role::Up, Role::Fanout, Role::Archiver];
const FANOUT: &[Role] = &[Role::Up, Role::Fanout];
const PRESENCE: &[Role] = &[Role::Up, Role::Presence];

const REDIS: Kind = Url(&[
    "redis",
    "redis+sentinel",
    "redis+cluster",
    "redis+unix",
    "unix",
]);
const SQL: Kind = Url(&["sqlite", "postgres", "postgresql"]);
/// Shorter secrets can be guessed offline from one signed token.
const SECRET: Kind = Secret(32);

const fn row(
    roles: &'static [Role],
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Row {
    Row {
        name,
        kind,
        default,
        roles,
        help,
    }
}

/// Every key but those of namespaces, by section.
#[rustfmt::skip]
pub const KEYS: &[Row] = &[
    row(ALL, "data.dir", Path, ".chinwag", "Folder for what this host keeps: the private Redis, the embedded archive, the generated secret."),

    row(ALL, "redis.url", REDIS, "", "The Redis that all processes share. One server: `redis://host:port/db`. The primary that sentinels watch: `redis+sentinel://host:port,host:port/NAME`. A cluster: `redis+cluster://host:port,host:port`. Several servers that share the partitions, in an order that is fixed at first start: `redis://a:port,b:port`. Empty: `chinwag up` runs a private one in data.dir; the other subcommands need it."),
    row(UP, "redis.bin", Path, "", "The server that `chinwag up` runs. Empty: redis-server or valkey-server from PATH."),
    row(UP, "redis.fsync", Choice(&["everysec", "always"]), "everysec", "When the private Redis writes to disk: `everysec` may lose the last second when the power fails, `always` nothing, at the price of speed."),
    row(ALL, "redis.partitions", Integer(1, 1024), "64", "Partitions of the message log: an upper limit for workers of one kind. Stored in Redis at the first start and checked ever after."),
    row(ALL, "redis.connect_timeout_ms", Integer(100, 60_000), "2000", "How long one attempt to connect to Redis may take."),
    row(ALL, "redis.response_timeout_ms", Integer(100, 60_000), "2000", "How long Redis may take to answer before the connection counts as broken."),

    row(GATEWAY, "redis.replicas", Integer(0, 16), "0", "How many replicas of Redis must have a message that is acknowledged as `replicated`. 0: there are none, and the answer names `accepted`."),

    row(ARCHIVE, "archive.url", SQL, "", "Where events are kept for good: sqlite:PATH, or postgres://... for more than one host. Empty: archive.sqlite in data.dir."),

    row(GATEWAY, "gateway.listen", Address, "127.0.0.1:8000", "Where clients connect."),
    row(GATEWAY, "gateway.threads", Integer(0, 256), "0", "Threads that serve connections. 0: one per processor."),
    row(GATEWAY, "gateway.allowed_origins", Origins, "", "Web origins whose pages may connect besides the gateway's own; `*` for any."),
    row(GATEWAY, "gateway.trusted_proxies", Networks, "", "Proxies whose X-Forwarded-For header names the client's address."),
    row(GATEWAY, "gateway.max_connections", Integer(1, 1_000_000), "50000", "Most connections of one gateway; further ones are answered 503."),
    row(GATEWAY, "gateway.max_connections_per_address", Integer(0, 1_000_000), "0", "Most connections from one client address (of IPv6, one /64); further ones are answered 503. Trusted proxies are exempt. 0: no limit."),
    row(GATEWAY, "gateway.connects_per_second", Integer(0, 1_000_000), "1000", "New WebSocket sessions per second, sustained. Further ones are answered 503 with a Retry-After that is another for each. 0: no limit."),
    row(GATEWAY, "gateway.connects_burst", Integer(1, 1_000_000), "2000", "New WebSocket sessions at once, before gateway.connects_per_second holds."),
    row(GATEWAY, "gateway.max_pending", Integer(1, 1_000_000), "4096", "Most connections that have neither had a request answered nor begun a session; further ones are answered 503."),
    row(GATEWAY, "gateway.max_pending_per_address", Integer(0, 1_000_000), "1024", "The same for one client address. Trusted proxies are exempt. 0: no limit."),
    row(GATEWAY, "gateway.handshake_timeout_ms", Integer(100, 60_000), "5000", "How long a client may take to send its request's head."),
    row(GATEWAY, "gateway.connect_timeout_ms", Integer(100, 60_000), "5000", "How long a socket may be silent before its connect command."),
    row(GATEWAY, "gateway.ping_interval_ms", Integer(1_000, 300_000), "25000", "How often an idle client is pinged."),
    row(GATEWAY, "gateway.pong_timeout_ms", Integer(100, 300_000), "10000", "How long a client may take to answer a ping. Must be less than gateway.ping_interval_ms."),
    row(GATEWAY, "gateway.stalled_seconds", Integer(1, 600), "30", "How long a client may take nothing of what waits for it before it is closed. One that reads slowly falls behind and catches up."),
    row(GATEWAY, "gateway.message_limit_bytes", Integer(1_024, 65_536), "65536", "Largest frame from a client."),
    row(GATEWAY, "gateway.outbox_limit_bytes", Integer(65_536, 67_108_864), "1048576", "Most bytes of events that wait for one slow client; the rest it is read from the log when it has room."),
    row(GATEWAY, "gateway.recent_limit_bytes", Integer(0, 68_719_476_736), "67108864", "Most bytes of recent events that a gateway keeps in memory, for clients that come back: at most 64 events of each room."),
    row(GATEWAY, "gateway.subscriptions_per_connection", Integer(1, 10_000), "512", "Most subscriptions of one connection."),
    row(GATEWAY, "gateway.rooms_on_connect", Integer(0, 1_000), "128", "How many of a member's rooms, most recent first, a new session is subscribed to."),
    row(GATEWAY, "gateway.commands_per_second", Integer(0, 100_000), "100", "Commands of one connection per second, sustained, and HTTP requests of one user; twice as many at once. Who goes on for ten times as many is disconnected (3013). 0: no limit."),
    row(GATEWAY, "gateway.anonymous", Switch, "false", "Whether clients may connect without a token, as nobody."),
    row(GATEWAY, "gateway.personal_channel", Switch, "true", "Whether a user's sessions are subscribed to the channel `#<user>`."),
    row(GATEWAY, "gateway.ack", Choice(&["accepted", "replicated", "archived"]), "accepted", "How safe a message is before its sender is answered, unless the message or its room says otherwise: in Redis, in redis.replicas replicas too, or in the archive."),
    row(GATEWAY, "gateway.ack_timeout_ms", Integer(100, 60_000), "5000", "How long a sender waits for that. Then the answer names the level that was reached."),
    row(GATEWAY, "gateway.redis_full_percent", Integer(0, 100), "80", "From how much of its maxmemory on Redis counts as full: messages are refused, to be sent again later, while the archiver goes on. 0: until Redis itself refuses."),
    row(GATEWAY, "gateway.drain_seconds", Integer(0, 600), "10", "How long closing all connections may take when the process stops. They are told to leave one after the other over the first half of it."),

    row(ALL, "admin.listen", Address, "127.0.0.1:9000", "Where /live, /ready and /metrics are. For a private network: it asks for no authority."),

    row(GATEWAY, "account.registration", Choice(&["open", "closed"]), "open", "Whether anybody may make an account."),
    row(GATEWAY, "account.token_days", Integer(1, 3_650), "30", "How long a login lasts."),
    row(GATEWAY, "account.hash_parallelism", Integer(0, 64), "0", "Passwords hashed at once, 19 MiB each. 0: half of the processors."),
    row(GATEWAY, "account.hash_queue", Integer(1, 10_000), "32", "Passwords that may wait to be hashed; further logins are told to come back."),

    row(GATEWAY, "token.hmac_secret", SECRET, "", "Signs connection and subscription tokens (JWT, HS256) of applications that have users of their own. Empty: the one in data.dir, generated at the first start."),
    row(GATEWAY, "token.hmac_secret_file", Path, "", "A file that holds token.hmac_secret."),
    row(GATEWAY, "api.key", SECRET, "", "The key of the server API under /api. Empty: there is no server API."),
    row(GATEWAY, "api.key_file", Path, "", "A file that holds api.key."),

    row(WORKERS, "worker.lease_ms", Integer(500, 60_000), "5000", "How long a worker that has gone silent keeps its partitions; then others take them over at once."),
    row(LOG_WORKERS, "worker.batch", Integer(1, 5_000), "500", "Most log entries done at once."),
    row(FANOUT, "fanout.activity_interval_ms", Integer(100, 600_000), "5000", "How often a room moves up in the lists of its members, at most."),
    row(FANOUT, "fanout.large_room", Integer(1, 100_000), "250", "A room of more members than this is large."),
    row(FANOUT, "fanout.large_room_interval_ms", Integer(100, 3_600_000), "60000", "How often a large room moves up in the lists of its members, at most."),
    row(FANOUT, "fanout.cached_members", Integer(1_000, 100_000_000), "1000000", "Members of rooms that fan-out remembers, in all partitions together; each takes about 60 bytes."),
    row(GATEWAY, "presence.lease_ms", Integer(1_000, 120_000), "15000", "How long the sessions of a gateway that has gone silent count as online."),
    row(PRESENCE, "presence.interval_ms", Integer(100, 10_000), "1000", "How long changes of presence gather before rooms are told, and how often gateways that died are looked for."),

    row(ALL, "log.format", Choice(&["auto", "json", "human"]), "auto", "How log lines look; `auto` is human on a terminal and json otherwise."),
    row(ALL, "log.level", Filter, "info", "Which log lines are written; also directives such as info,chinwag_gateway=debug."),
];

/// The keys of each `[namespaces.NAME]`.
#[rustfmt::skip]
pub const NAMESPACE: &[Row] = &[
    row(GATEWAY, "kind", Choice(&["open", "members"]), "open", "Who may subscribe: anybody with a valid token, or members only."),
    row(GATEWAY, "history_size", Integer(0, 5_000), "200", "Recent events that Redis keeps for each channel. 0: none, and no recovery."),
    row(GATEWAY, "history_seconds", Integer(0, 31_536_000), "0", "How long Redis keeps them after the last one. 0: for ever."),
    row(GATEWAY, "presence", Switch, "true", "Whether it is known who is subscribed."),
    row(GATEWAY, "presence_read", Switch, "true", "Whether subscribers may ask who is subscribed."),
    row(GATEWAY, "join_leave", Switch, "false", "Whether subscribers are told who comes and goes."),
    row(GATEWAY, "publish", Switch, "true", "Whether subscribers may publish."),
    row(GATEWAY, "history", Switch, "true", "Whether subscribers may read the history."),
    row(GATEWAY, "force_recovery", Switch, "false", "Whether all subscriptions are recoverable, asked for or not."),
    row(GATEWAY, "token_required", Switch, "false", "Whether each subscription needs a token of its own."),
];

/// The key of this full name, namespaces included.
///
/// # Errors
/// Says what is wrong with the name.
pub fn find(name: &str) -> Result<&'static Row, String> {
    if let Some((namespace, key)) = name
        .strip_prefix("namespaces.")
        .and_then(|rest| rest.rsplit_once('.'))
    {
        check_namespace(namespace)?;
        let found = NAMESPACE.iter().find(|row| row.name == key);
        let names = NAMESPACE.iter().map(|row| row.name);
        return found.ok_or_else(|| format!("unknown key{}", super::suggest::hint(key, names)));
    }
    let found = KEYS.iter().find(|row| row.name == name);
    let names = KEYS.iter().map(|row| row.name);
    found.ok_or_else(|| format!("unknown key{}", super::suggest::hint(name, names)))
}

/// The sections that a file may have, `namespaces` among them.
pub fn sections() -> impl Iterator<Item = &'static str> {
    let mut sections: Vec<&str> = KEYS.iter().map(|row| section(row.name)).collect();
    sections.push("namespaces");
    sections.dedup();
    sections.into_iter()
}

/// What stands before the first point.
#[must_use]
pub fn section(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// A namespace is what a channel's id has before its first colon.
pub fn check_namespace(name: &str) -> Result<(), String> {
    const LONGEST: usize = 60;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
        return Err(format!(
            "a namespace is 1 to {LONGEST} of A-Z a-z 0-9 _ - ."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_own_limits() {
        for row in KEYS.iter().chain(NAMESPACE) {
            assert!(row.kind.read_text(row.default).is_ok(), "{}", row.name);
        }
    }

    #[test]
    fn names_are_unique_also_in_the_environment() {
        let mut names: Vec<String> = KEYS.iter().map(|row| row.name.replace('.', "_")).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn sections_stand_together() {
        let sections: Vec<&str> = sections().collect();
        let mut unique = sections.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), sections.len(), "{sections:?}");
    }

    #[test]
    fn help_is_whole_sentences() {
        for row in KEYS.iter().chain(NAMESPACE) {
            assert!(
                row.help.ends_with('.') || row.help.ends_with("debug."),
                "{}",
                row.name
            );
            assert!(
                row.help.starts_with(|first: char| first.is_uppercase()),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn unknown_names_come_with_a_hint() {
        let check = |name: &str, expected: &str| assert_eq!(find(name).unwrap_err(), expected);
        check("gateway.listn", "unknown key; did you mean gateway.listen?");
        check(
            "namespaces.game.histry_size",
            "unknown key; did you mean history_size?",
        );
        check(
            "namespaces.a:b.kind",
            "a namespace is 1 to 60 of A-Z a-z 0-9 _ - .",
        );
        check("what.ever", "unknown key");
        assert_eq!(find("namespaces.a.b.kind").unwrap().name, "kind");
    }
}

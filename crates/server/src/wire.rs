//! From settings to the configuration of each part. Limits were checked on the way in; here only
//! units, names and "automatic" are translated.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use chinwag_gateway::config::{Ack, Namespaces, Policy, Secret};

use crate::secret::{self, SecretError};
use crate::settings::{Keys, Settings};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a gateway is told.
///
/// # Errors
/// When a secret cannot be had.
pub fn gateway(settings: &Settings) -> Result<chinwag_gateway::Config, SecretError> {
    let keys = settings.keys();
    let secret = |secret: crate::settings::kind::Secret| Secret::new(secret.reveal());
    Ok(chinwag_gateway::Config {
        threads: keys.nonzero("gateway.threads").unwrap_or_else(processors),
        allowed_origins: keys.origins("gateway.allowed_origins"),
        trusted_proxies: keys.networks("gateway.trusted_proxies"),
        max_connections: keys.integer("gateway.max_connections"),
        max_connections_per_address: keys
            .nonzero("gateway.max_connections_per_address")
            .unwrap_or(usize::MAX),
        connects_per_second: keys.integer("gateway.connects_per_second"),
        connects_burst: keys.integer("gateway.connects_burst"),
        max_pending: keys.integer("gateway.max_pending"),
        max_pending_per_address: keys
            .nonzero("gateway.max_pending_per_address")
            .unwrap_or(usize::MAX),
        handshake_timeout: keys.milliseconds("gateway.handshake_timeout_ms"),
        connect_timeout: keys.milliseconds("gateway.connect_timeout_ms"),
        ping_interval: keys.milliseconds("gateway.ping_interval_ms"),
        pong_timeout: keys.milliseconds("gateway.pong_timeout_ms"),
        message_limit: keys.integer("gateway.message_limit_bytes"),
        stalled: keys.seconds("gateway.stalled_seconds"),
        outbox_limit: keys.integer("gateway.outbox_limit_bytes"),
        recent_limit: keys.integer("gateway.recent_limit_bytes"),
        subscriptions_per_connection: keys.integer("gateway.subscriptions_per_connection"),
        rooms_on_connect: keys.integer("gateway.rooms_on_connect"),
        commands_per_second: keys.integer("gateway.commands_per_second"),
        anonymous: keys.switch("gateway.anonymous"),
        personal_channel: keys.switch("gateway.personal_channel"),
        drain: settings.drain,
        registration_open: keys.text("account.registration") == "open",
        token_lifetime: DAY * keys.integer::<u32>("account.token_days"),
        hash_parallelism: keys
            .nonzero("account.hash_parallelism")
            .unwrap_or_else(|| processors().div_ceil(2)),
        hash_queue: keys.integer("account.hash_queue"),
        hmac_secret: Some(secret(secret::hmac(settings)?)),
        api_key: secret::api_key(settings)?.map(secret),
        ack: Ack::named(keys.text("gateway.ack")).unwrap_or_default(),
        ack_timeout: keys.milliseconds("gateway.ack_timeout_ms"),
        replicas: keys.integer("redis.replicas"),
        full_percent: keys.integer("gateway.redis_full_percent"),
        lease: keys.milliseconds("presence.lease_ms"),
        namespaces: namespaces(keys),
    })
}

/// What an archiver is told.
pub fn archiver(keys: Keys<'_>) -> chinwag_archiver::Config {
    chinwag_archiver::Config {
        lease: keys.milliseconds("worker.lease_ms"),
        batch: keys.integer("worker.batch"),
    }
}

/// What a fan-out worker is told.
pub fn fanout(keys: Keys<'_>) -> chinwag_fanout::Config {
    chinwag_fanout::Config {
        lease: keys.milliseconds("worker.lease_ms"),
        batch: keys.integer("worker.batch"),
        activity_interval: keys.milliseconds("fanout.activity_interval_ms"),
        large_room: keys.integer("fanout.large_room"),
        large_room_interval: keys.milliseconds("fanout.large_room_interval_ms"),
        cached_members: keys.integer("fanout.cached_members"),
    }
}

/// What a presence worker is told.
pub fn presence(keys: Keys<'_>) -> chinwag_presence::Config {
    chinwag_presence::Config {
        lease: keys.milliseconds("worker.lease_ms"),
        interval: keys.milliseconds("presence.interval_ms"),
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The namespace of channels without a colon is called `default` by people, and nothing by code.
fn namespaces(keys: Keys<'_>) -> Namespaces {
    let entry = |name: &str| {
        let inside = if name == "default" {
            String::new()
        } else {
            name.to_owned()
        };
        (inside, policy(keys, name))
    };
    Namespaces(keys.namespaces().map(entry).collect())
}

fn policy(keys: Keys<'_>, namespace: &str) -> Policy {
    let key = |key: &str| format!("namespaces.{namespace}.{key}");
    Policy {
        members_only: keys.text(&key("kind")) == "members",
        history_size: keys.integer(&key("history_size")),
        history_seconds: keys.integer(&key("history_seconds")),
        presence: keys.switch(&key("presence")),
        join_leave: keys.switch(&key("join_leave")),
        publish: keys.switch(&key("publish")),
        history: keys.switch(&key("history")),
        presence_read: keys.switch(&key("presence_read")),
        force_recovery: keys.switch(&key("force_recovery")),
        token_required: keys.switch(&key("token_required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Role, Written};

    fn meant(assignments: &[&str]) -> chinwag_gateway::Config {
        let mut written = Written::defaults();
        let secret = "token.hmac_secret=0123456789abcdef0123456789abcdef";
        for assignment in assignments.iter().chain([&secret]) {
            written.assignment("--set", assignment);
        }
        gateway(&Settings::mean(written, Role::Up).unwrap()).unwrap()
    }

    #[test]
    fn zero_is_automatic_or_no_limit() {
        let config = meant(&[]);
        assert!(config.threads >= 1 && config.hash_parallelism >= 1);
        assert_eq!(config.max_connections_per_address, usize::MAX);
        assert_eq!(meant(&["gateway.threads=3"]).threads, 3);
    }

    #[test]
    fn units_are_translated() {
        let config = meant(&["account.token_days=2", "gateway.ping_interval_ms=30000"]);
        assert_eq!(config.token_lifetime, DAY * 2);
        assert_eq!(config.ping_interval, Duration::from_secs(30));
    }

    #[test]
    fn namespaces_have_their_names_and_policies() {
        let config = meant(&[
            "namespaces.game.publish=false",
            "namespaces.default.history_size=7",
        ]);
        let namespaces = config.namespaces.0;
        assert_eq!(
            namespaces.keys().collect::<Vec<_>>(),
            ["", "dm", "game", "room"]
        );
        assert_eq!(namespaces[""].history_size, 7);
        assert!(namespaces["room"].members_only && !namespaces["game"].members_only);
        assert!(!namespaces["game"].publish);
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", meant(&[]));
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
}

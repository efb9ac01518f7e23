//! From a URL to the settings of a connection.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::{Error, Result};

/// Reads a URL and adds what keeps a dead network from looking like a slow server.
pub(super) fn parse(url: &str) -> Result<Config> {
    refuse_tls(url)?;
    let authority = url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split(['/', '?']).next());
    if authority.is_some_and(|authority| authority.matches('@').count() > 1) {
        return Err(Error::Address(
            "an @ in a user name or password is written %40".into(),
        ));
    }
    let mut config: Config = url.parse().map_err(invalid)?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    config.keepalives_idle(Duration::from_secs(30));
    config.keepalives_interval(Duration::from_secs(10));
    config.keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("chinwag");
    }
    Ok(config)
}

/// Hosts to which this connection goes in the clear over a network, as far as one can tell.
pub(super) fn in_the_clear(config: &Config) -> Vec<String> {
    if config.get_ssl_mode() == SslMode::Disable {
        return Vec::new();
    }
    let hosts = config.get_hosts().iter().filter_map(|host| match host {
        Host::Tcp(name) => Some(name.clone()),
        Host::Unix(_) => None,
    });
    hosts
        .filter(|name| !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"))
        .collect()
}

fn refuse_tls(url: &str) -> Result<()> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let mode = parameters
        .split('&')
        .find_map(|parameter| parameter.strip_prefix("sslmode="));
    match mode {
        Some(mode @ ("require" | "verify-ca" | "verify-full")) => Err(Error::Address(format!(
            "sslmode={mode}: this build of chinwag speaks to PostgreSQL without TLS. Reach the \
             server by a unix socket, a private network or a TLS tunnel (stunnel, PgBouncer on \
             this host), and say sslmode=disable"
        ))),
        _ => Ok(()),
    }
}

/// The parser's complaints name parameters, not their values.
fn invalid(error: tokio_postgres::Error) -> Error {
    let cause = error
        .into_source()
        .map_or_else(String::new, |cause| format!(": {cause}"));
    Error::Address(format!("not a PostgreSQL URL{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        parse(url).unwrap_err().to_string()
    }

    #[test]
    fn no_refusal_shows_the_password() {
        for url in [
            "postgres://ann:hunter2@host:port/db",
            "postgres://ann:hunter2@x@host/db",
            "postgres://ann:hun%zzter2@host/db?port=hunter2",
            "postgres://ann:x@host/db?passwort=hunter2",
            "postgres://ann:x@host/db?hunter2",
            "postgres://ann:hunter2:x@[host/db",
            "postgres://ann:hunter2@host/db?sslmode=require",
        ] {
            let refusal = refusal(url);
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn tls_is_refused_and_not_ignored() {
        let refusal = refusal("postgres://host/db?connect_timeout=3&sslmode=verify-full");
        assert!(
            refusal.contains("sslmode=verify-full: this build"),
            "{refusal}"
        );
        assert!(parse("postgres://host/db?sslmode=disable").is_ok());
    }

    #[test]
    fn only_what_crosses_a_network_unawares_is_in_the_clear() {
        let clear = |url: &str| in_the_clear(&parse(url).unwrap());
        assert_eq!(
            clear("postgres://u@db.example,localhost/chinwag"),
            ["db.example"]
        );
        assert!(clear("postgres://u@db.example/chinwag?sslmode=disable").is_empty());
        assert!(clear("postgres:///chinwag?host=/run/postgresql").is_empty());
    }
}

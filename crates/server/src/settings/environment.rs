//! Which environment variable means which key, and which are none of our business.

use super::suggest;
use super::table::{self, KEYS, NAMESPACE};

const PREFIX: &str = "CHINWAG_";
/// Read by the command line itself: the file that the other settings are in.
pub const CONFIG: &str = "CHINWAG_CONFIG";

/// What a variable is to us.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Not ours.
    Foreign,
    /// The key of this full name.
    Key(String),
    /// Ours by its prefix, but no key.
    Unknown(String),
}

/// The variable of a key: `gateway.listen` is `CHINWAG_GATEWAY_LISTEN`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// What a variable means. Namespaces in the environment have lower-case names.
#[must_use]
pub fn meaning(variable: &str, value: &str) -> Meaning {
    let Some(rest) = variable.strip_prefix(PREFIX) else {
        return Meaning::Foreign;
    };
    if variable == CONFIG || is_service_link(rest, value) {
        return Meaning::Foreign;
    }
    if let Some(row) = KEYS.iter().find(|row| self::variable(row.name) == variable) {
        return Meaning::Key(row.name.to_owned());
    }
    if let Some(rest) = rest.strip_prefix("NAMESPACES_") {
        let rest = rest.to_ascii_lowercase();
        let names = NAMESPACE.iter().filter_map(|row| {
            let name = rest.strip_suffix(row.name)?.strip_suffix('_')?;
            Some((row.name, name.to_owned()))
        });
        // `presence_read` also ends with... nothing else today; the longest key is the one meant.
        let longest = names.max_by_key(|(key, _)| key.len());
        if let Some((key, name)) = longest.filter(|(_, name)| table::check_namespace(name).is_ok())
        {
            return Meaning::Key(format!("namespaces.{name}.{key}"));
        }
    }
    let names: Vec<String> = KEYS.iter().map(|row| self::variable(row.name)).collect();
    let hint = suggest::hint(variable, names.iter().map(String::as_str));
    Meaning::Unknown(format!("unknown setting{hint}"))
}

/// Kubernetes describes every service of a namespace to every pod in variables that begin with
/// the service's name, which may well be `chinwag` or `chinwag-gateway`.
fn is_service_link(rest: &str, value: &str) -> bool {
    let linked = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    rest.ends_with("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || (linked && (rest.ends_with("PORT") || rest.contains("PORT_")))
        || [
            "_TCP_ADDR",
            "_TCP_PORT",
            "_TCP_PROTO",
            "_UDP_ADDR",
            "_UDP_PORT",
            "_UDP_PROTO",
        ]
        .iter()
        .any(|end| rest.ends_with(end) && rest.contains("PORT_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: &str, value: &str, expected: &Meaning) {
        assert_eq!(&meaning(variable, value), expected, "{variable}");
    }

    #[test]
    fn every_key_has_its_variable() {
        for row in KEYS {
            check(&variable(row.name), "x", &Meaning::Key(row.name.to_owned()));
        }
        let key = |name: &str| Meaning::Key(name.to_owned());
        check(
            "CHINWAG_NAMESPACES_GAME_KIND",
            "",
            &key("namespaces.game.kind"),
        );
        check(
            "CHINWAG_NAMESPACES_MY_GAME_JOIN_LEAVE",
            "",
            &key("namespaces.my_game.join_leave"),
        );
        check(
            "CHINWAG_NAMESPACES_GAME_PRESENCE_READ",
            "",
            &key("namespaces.game.presence_read"),
        );
    }

    #[test]
    fn unknown_variables_of_ours_are_found() {
        let hint = "unknown setting; did you mean CHINWAG_GATEWAY_LISTEN?";
        check(
            "CHINWAG_GATEWAY_LISTN",
            "",
            &Meaning::Unknown(hint.to_owned()),
        );
        check(
            "CHINWAG_NAMESPACES_KIND",
            "",
            &Meaning::Unknown("unknown setting".to_owned()),
        );
        check(
            "CHINWAG_SOMETHING",
            "",
            &Meaning::Unknown("unknown setting".to_owned()),
        );
    }

    #[test]
    fn the_variables_of_others_are_left_alone() {
        for (variable, value) in [
            ("PATH", "/bin"),
            ("CHINWAG_CONFIG", "chinwag.toml"),
            ("CHINWAG_SERVICE_HOST", "10.0.0.1"),
            ("CHINWAG_GATEWAY_SERVICE_PORT_HTTP", "8000"),
            ("CHINWAG_PORT", "tcp://10.0.0.1:8000"),
            ("CHINWAG_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("CHINWAG_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ] {
            check(variable, value, &Meaning::Foreign);
        }
    }
}

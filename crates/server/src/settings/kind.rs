//! What a setting may be: its type, its limits, and how it is read from text and from TOML.

use std::fmt;
use std::net::SocketAddr;

use chinwag_gateway::config::Network;
use chinwag_runtime::log::Filter;

/// The type and limits of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// A URL of one of these schemes, or empty for none.
    Url(&'static [&'static str]),
    /// A whole number within limits.
    Integer(u64, u64),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of web origins: `https://chat.example.org`, or `*`.
    Origins,
    /// A list of IP addresses and networks: `10.0.0.0/8`.
    Networks,
    /// A path of a file or folder, or empty for none.
    Path,
    /// A log level or a list of directives.
    Filter,
    /// A text that is never shown, at least this many bytes long, or empty for none.
    Secret(usize),
}

/// A setting's value, of the type and within the limits of its [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a URL, choice or path.
    Text(String),
    /// Of an address.
    Address(SocketAddr),
    /// Of a filter of log lines.
    Filter(Filter),
    /// Of a secret.
    Secret(Secret),
    /// Of an integer.
    Integer(u64),
    /// Of a switch.
    Switch(bool),
    /// Of origins.
    Origins(Vec<String>),
    /// Of networks.
    Networks(Vec<Network>),
}

/// A text that neither logs nor problems show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl Kind {
    /// Reads what the environment or a flag says; lists are separated by commas.
    ///
    /// # Errors
    /// Says what the value must be, and what it was unless it is a secret.
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Self::Integer(..) => match text.parse() {
                Ok(number) => self.integer(number),
                Err(_) => Err(self.wrong(text)),
            },
            Self::Switch => match text {
                "true" => Ok(Value::Switch(true)),
                "false" => Ok(Value::Switch(false)),
                _ => Err(self.wrong(text)),
            },
            Self::Origins | Self::Networks => self.list(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty()),
            ),
            _ => self.text(text),
        }
    }

    /// Reads what a file says.
    ///
    /// # Errors
    /// Says what the value must be, and what it was unless it is a secret.
    pub fn read_toml(self, value: &toml::Value) -> Result<Value, String> {
        use toml::Value as Toml;
        match (self, value) {
            (Self::Integer(..), Toml::Integer(number)) => match u64::try_from(*number) {
                Ok(number) => self.integer(number),
                Err(_) => Err(self.wrong(&number.to_string())),
            },
            (Self::Switch, Toml::Boolean(switch)) => Ok(Value::Switch(*switch)),
            (Self::Origins | Self::Networks, Toml::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(Toml::as_str).collect();
                self.list(texts.ok_or_else(|| self.wrong_type("a list with other things"))?)
            }
            (Self::Integer(..) | Self::Switch | Self::Origins | Self::Networks, _) => {
                Err(self.wrong_type(value.type_str()))
            }
            (_, Toml::String(text)) => self.text(text),
            _ => Err(self.wrong_type(value.type_str())),
        }
    }

    fn integer(self, number: u64) -> Result<Value, String> {
        match self {
            Self::Integer(least, most) if !(least..=most).contains(&number) => {
                Err(self.wrong(&number.to_string()))
            }
            _ => Ok(Value::Integer(number)),
        }
    }

    fn list<'a>(self, items: impl IntoIterator<Item = &'a str>) -> Result<Value, String> {
        let items = items.into_iter();
        if self == Self::Networks {
            let network = |item: &str| item.parse().map_err(|_| self.wrong(item));
            return items
                .map(network)
                .collect::<Result<_, _>>()
                .map(Value::Networks);
        }
        let origin = |item: &str| {
            if is_origin(item) {
                Ok(item.to_owned())
            } else {
                Err(self.wrong(item))
            }
        };
        items
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Value::Origins)
    }

    fn text(self, text: &str) -> Result<Value, String> {
        let fits = match self {
            Self::Address => {
                return text
                    .parse()
                    .map(Value::Address)
                    .map_err(|_| self.wrong(text));
            }
            Self::Filter => {
                return text
                    .parse()
                    .map(Value::Filter)
                    .map_err(|_| self.wrong(text));
            }
            Self::Url(schemes) => {
                let scheme = text.split_once(':').map(|(scheme, _)| scheme);
                text.is_empty() || scheme.is_some_and(|scheme| schemes.contains(&scheme))
            }
            Self::Choice(words) => words.contains(&text),
            Self::Path => !text.contains('\0'),
            Self::Secret(least) => {
                return if text.is_empty() || text.len() >= least {
                    Ok(Value::Secret(Secret::new(text)))
                } else {
                    Err(format!("must be {self}, got {}", text.len()))
                };
            }
            _ => false,
        };
        if fits {
            Ok(Value::Text(text.to_owned()))
        } else {
            Err(self.wrong(text))
        }
    }

    /// URLs may carry a password, so only their scheme is repeated.
    fn wrong(self, given: &str) -> String {
        const LONGEST: usize = 60;
        let shown: String = match (self, given.split_once(':')) {
            (Self::Url(_), Some((scheme, _))) => format!("{scheme}:..."),
            (Self::Url(_), None) => "something else".to_owned(),
            _ => given.chars().take(LONGEST).collect(),
        };
        format!("must be {self}, got {shown:?}")
    }

    fn wrong_type(self, given: &str) -> String {
        format!("must be {self}, got {given}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => write!(formatter, "an address such as 127.0.0.1:8000"),
            Self::Url(schemes) => {
                write!(formatter, "a URL that begins with {}:", schemes.join(":, "))
            }
            Self::Integer(least, most) => write!(formatter, "an integer from {least} to {most}"),
            Self::Switch => write!(formatter, "true or false"),
            Self::Choice(words) => write!(formatter, "one of {}", words.join(", ")),
            Self::Origins => write!(formatter, "a list of origins such as https://example.org"),
            Self::Networks => write!(formatter, "a list of networks such as 10.0.0.0/8"),
            Self::Path => write!(formatter, "a path"),
            Self::Filter => write!(formatter, "a level (off, error, warn, info, debug, trace)"),
            Self::Secret(least) => write!(formatter, "at least {least} bytes"),
        }
    }
}

fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte))
    };
    text == "*" || host.is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, text: &str, expected: Result<Value, &str>) {
        assert_eq!(
            kind.read_text(text),
            expected.map_err(str::to_owned),
            "{text:?}"
        );
    }

    fn text(text: &str) -> Result<Value, &str> {
        Ok(Value::Text(text.to_owned()))
    }

    fn networks<'a>(items: &[&str]) -> Result<Value, &'a str> {
        Ok(Value::Networks(
            items.iter().map(|item| item.parse().unwrap()).collect(),
        ))
    }

    #[test]
    fn text_is_read_by_kind() {
        let level = Kind::Choice(&["open", "closed"]);
        let url = Kind::Url(&["redis", "unix"]);
        check(Kind::Integer(1, 9), " 7 ", Ok(Value::Integer(7)));
        check(
            Kind::Integer(1, 9),
            "10",
            Err("must be an integer from 1 to 9, got \"10\""),
        );
        check(
            Kind::Integer(1, 9),
            "-1",
            Err("must be an integer from 1 to 9, got \"-1\""),
        );
        check(
            Kind::Integer(1, 9),
            "",
            Err("must be an integer from 1 to 9, got \"\""),
        );
        check(Kind::Switch, "true", Ok(Value::Switch(true)));
        check(
            Kind::Switch,
            "yes",
            Err("must be true or false, got \"yes\""),
        );
        check(level, "open", text("open"));
        check(
            level,
            "ajar",
            Err("must be one of open, closed, got \"ajar\""),
        );
        check(
            url,
            "unix:///run/redis.sock",
            text("unix:///run/redis.sock"),
        );
        check(url, "", text(""));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        check(Kind::Address, "127.0.0.1:80", Ok(Value::Address(address)));
        let filter = "info,chinwag=debug";
        check(
            Kind::Filter,
            filter,
            Ok(Value::Filter(filter.parse().unwrap())),
        );
        let origins = vec!["https://a.b".to_owned(), "http://c:81".to_owned()];
        check(
            Kind::Origins,
            "https://a.b, http://c:81",
            Ok(Value::Origins(origins)),
        );
        check(
            Kind::Networks,
            "10.0.0.0/8,::1",
            networks(&["10.0.0.0/8", "::1"]),
        );
        check(Kind::Networks, "", networks(&[]));
        check(
            Kind::Secret(4),
            "abcd",
            Ok(Value::Secret(Secret::new("abcd"))),
        );
    }

    #[test]
    fn wrong_texts_are_refused() {
        for (kind, wrong) in [
            (Kind::Address, "localhost"),
            (Kind::Filter, "loud"),
            (Kind::Origins, "example.org"),
            (Kind::Origins, "https://example.org/chat"),
            (Kind::Networks, "10.0.0.0/33"),
            (Kind::Networks, "ten"),
        ] {
            assert!(kind.read_text(wrong).is_err(), "{kind:?} {wrong}");
        }
    }

    #[test]
    fn secrets_and_passwords_are_never_repeated() {
        check(
            Kind::Secret(32),
            "hunter2",
            Err("must be at least 32 bytes, got 7"),
        );
        let url = Kind::Url(&["redis"]);
        check(
            url,
            "http://me:hunter2@x",
            Err("must be a URL that begins with redis:, got \"http:...\""),
        );
        check(
            url,
            "hunter2",
            Err("must be a URL that begins with redis:, got \"something else\""),
        );
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }

    #[test]
    fn toml_has_types() {
        let number = Kind::Integer(1, 9);
        assert_eq!(
            number.read_toml(&toml::Value::Integer(3)),
            Ok(Value::Integer(3))
        );
        let wrong = number.read_toml(&toml::Value::String("3".to_owned()));
        assert_eq!(
            wrong,
            Err("must be an integer from 1 to 9, got string".to_owned())
        );
        let negative = number.read_toml(&toml::Value::Integer(-3));
        assert_eq!(
            negative,
            Err("must be an integer from 1 to 9, got \"-3\"".to_owned())
        );
        let mixed = toml::Value::Array(vec![toml::Value::Boolean(true)]);
        assert!(Kind::Networks.read_toml(&mixed).is_err());
    }
}

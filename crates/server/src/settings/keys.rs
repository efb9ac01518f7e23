//! Reading checked values by key, each as the type it has.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chinwag_gateway::config::Network;
use chinwag_runtime::log::Filter;

use super::kind::{Secret, Value};
use super::written::Written;

/// Typed access to written settings. Asking for a key that is not in the table, or as another type
/// than it has, is a mistake in this program; a test asks for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    written: &'a Written,
}

macro_rules! wrong_type {
    ($name:expr, $value:expr) => {
        unreachable!("{} is not of the type asked for: {:?}", $name, $value)
    };
}

impl<'a> Keys<'a> {
    /// Reads these.
    #[must_use]
    pub fn of(written: &'a Written) -> Self {
        Self { written }
    }

    /// A URL, choice or path.
    #[must_use]
    pub fn text(self, name: &str) -> &'a str {
        match self.written.value(name) {
            Value::Text(text) => text,
            other => wrong_type!(name, other),
        }
    }

    /// A path, unless it is empty.
    #[must_use]
    pub fn path(self, name: &str) -> Option<PathBuf> {
        Some(self.text(name))
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    }

    /// A secret, unless it is empty.
    #[must_use]
    pub fn secret(self, name: &str) -> Option<Secret> {
        match self.written.value(name) {
            Value::Secret(secret) => Some(secret.clone()).filter(|secret| !secret.is_empty()),
            other => wrong_type!(name, other),
        }
    }

    /// An address.
    #[must_use]
    pub fn address(self, name: &str) -> SocketAddr {
        match self.written.value(name) {
            Value::Address(address) => *address,
            other => wrong_type!(name, other),
        }
    }

    /// A filter of log lines.
    #[must_use]
    pub fn filter(self, name: &str) -> Filter {
        match self.written.value(name) {
            Value::Filter(filter) => filter.clone(),
            other => wrong_type!(name, other),
        }
    }

    /// An integer of the type that the reader wants; the table's limits must fit into it.
    #[must_use]
    pub fn integer<T: TryFrom<u64>>(self, name: &str) -> T {
        match self.written.value(name) {
            Value::Integer(number) => match T::try_from(*number) {
                Ok(number) => number,
                Err(_) => wrong_type!(name, number),
            },
            other => wrong_type!(name, other),
        }
    }

    /// An integer where 0 stands for "none" or "automatic".
    #[must_use]
    pub fn nonzero<T: TryFrom<u64> + PartialEq + Default>(self, name: &str) -> Option<T> {
        Some(self.integer(name)).filter(|number| *number != T::default())
    }

    /// An integer of milliseconds.
    #[must_use]
    pub fn milliseconds(self, name: &str) -> Duration {
        Duration::from_millis(self.integer(name))
    }

    /// An integer of seconds.
    #[must_use]
    pub fn seconds(self, name: &str) -> Duration {
        Duration::from_secs(self.integer(name))
    }

    /// A switch.
    #[must_use]
    pub fn switch(self, name: &str) -> bool {
        match self.written.value(name) {
            Value::Switch(switch) => *switch,
            other => wrong_type!(name, other),
        }
    }

    /// A list of origins.
    #[must_use]
    pub fn origins(self, name: &str) -> Vec<String> {
        match self.written.value(name) {
            Value::Origins(origins) => origins.clone(),
            other => wrong_type!(name, other),
        }
    }

    /// A list of networks.
    #[must_use]
    pub fn networks(self, name: &str) -> Vec<Network> {
        match self.written.value(name) {
            Value::Networks(networks) => networks.clone(),
            other => wrong_type!(name, other),
        }
    }

    /// The names of all namespaces.
    pub fn namespaces(self) -> impl Iterator<Item = &'a str> {
        self.written.namespaces()
    }
}

//! How safe a message is, as its sender wants it and as it is.

use serde::{Deserialize, Serialize};

use crate::limit::Violation;

/// A level of acknowledgement, each safer than the one before.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// It is in Redis.
    #[default]
    Accepted,
    /// It is in as many replicas of Redis as the settings ask for.
    Replicated,
    /// It is in the archive.
    Archived,
}

impl Ack {
    /// Its name in settings, requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Replicated => "replicated",
            Self::Archived => "archived",
        }
    }

    /// The level of this name.
    ///
    /// # Errors
    /// Names the field, and all levels.
    pub fn named(name: &str) -> Result<Self, Violation> {
        let all = [Self::Accepted, Self::Replicated, Self::Archived];
        let found = all.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| {
            let shown: String = name.chars().take(32).collect();
            let problem = format!("must be accepted, replicated or archived, got {shown:?}");
            Violation::new("ack", problem)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_by_their_names_and_ordered_by_safety() {
        let levels = ["accepted", "replicated", "archived"].map(|name| Ack::named(name).unwrap());
        assert!(levels.is_sorted());
        let error = Ack::named("Archived").unwrap_err().to_string();
        assert_eq!(
            error,
            "ack: must be accepted, replicated or archived, got \"Archived\""
        );
    }
}

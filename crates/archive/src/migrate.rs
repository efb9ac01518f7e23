//! Schema versions, the same for both databases.
//!
//! A migration is a file of SQL and is never changed once released. Its number is its place in the
//! list. A database is brought up to date under a lock, in one transaction; one that is newer than
//! this program is left alone.

use crate::error::{Error, Result};

/// A schema's history in one database's SQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migrations(&'static [&'static str]);

pub(crate) const SQLITE: Migrations = Migrations(&[
    include_str!("migrations/sqlite/0001_events_and_words.sql"),
    include_str!("migrations/sqlite/0002_happenings_and_identity.sql"),
]);

pub(crate) const POSTGRES: Migrations = Migrations(&[
    include_str!("migrations/postgres/0001_events_and_words.sql"),
    include_str!("migrations/postgres/0002_happenings_and_identity.sql"),
]);

impl Migrations {
    /// The version that this program works with.
    pub fn latest(self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// What a database of version `found` (0: new) lacks, in order.
    ///
    /// # Errors
    /// [`Error::SchemaTooNew`].
    pub fn missing(self, found: u32) -> Result<&'static [&'static str]> {
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        self.0.get(done..).ok_or(Error::SchemaTooNew {
            found,
            known: self.latest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_by_number() {
        let two = Migrations(&["a", "b"]);
        assert_eq!(two.missing(0).unwrap(), ["a", "b"]);
        assert_eq!(two.missing(1).unwrap(), ["b"]);
        assert!(two.missing(2).unwrap().is_empty());
        let error = two.missing(3).unwrap_err().to_string();
        assert!(error.starts_with("the archive has schema version 3, this chinwag knows"));
    }

    #[test]
    fn both_databases_have_the_same_versions() {
        assert_eq!(SQLITE.latest(), POSTGRES.latest());
    }
}

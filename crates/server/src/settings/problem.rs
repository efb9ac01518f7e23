//! What is wrong with the settings, said all at once.

use std::fmt;

/// One problem, at the place where it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `chinwag.toml: gateway.threads`, `CHINWAG_GATEWAY_THREADS` or `--listen`.
    pub place: String,
    /// What it must be, and what it was.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// All problems of one set of settings; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(formatter, "{count} {noun} in the settings")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

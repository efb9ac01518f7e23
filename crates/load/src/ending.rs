//! How a run can end other than well; whoever ends the process tells these apart.

use std::fmt;

/// What was asked for makes no sense. Asking again will not help.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl std::error::Error for Usage {}

/// The run was made, and promises were broken.
#[derive(Debug)]
pub struct Violated(pub u64);

impl fmt::Display for Violated {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} violations", self.0)
    }
}

impl std::error::Error for Violated {}

//! What the compiler cannot check of the way this repository is built. Each module is one rule, or
//! a few that belong together; CONTRIBUTING.md has the reasons.

#![expect(
    clippy::unwrap_used,
    reason = "a rule that cannot be looked into has failed"
)]

mod tree;

mod arrows;
mod budget;
mod functions;
mod metrics;
mod paths;
mod settings;

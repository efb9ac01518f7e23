//! Whether a run kept the promises: pure, from what was written down of it.

pub mod history;

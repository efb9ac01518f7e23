//! The binary `chinwag`.
fn main() {}

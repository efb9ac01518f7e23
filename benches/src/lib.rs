//! Micro-benchmarks of the hot path.

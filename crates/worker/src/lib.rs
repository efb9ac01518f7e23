//! Ownership of partitions, and the checkpointed loop over their logs.

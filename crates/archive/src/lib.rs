//! The SQL archive of events.

//! The end-to-end stories.

//! Load and measurement from outside.

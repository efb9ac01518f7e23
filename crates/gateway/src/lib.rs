//! Where clients connect.

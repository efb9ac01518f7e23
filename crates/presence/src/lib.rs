//! Who is online.

//! Tells members who are online but not listening.

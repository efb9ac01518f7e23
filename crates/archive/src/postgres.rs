//! The archive in PostgreSQL.

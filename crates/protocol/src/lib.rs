//! What is said between clients and servers, and what is kept of it.

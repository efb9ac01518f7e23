//! Everything that chinwag keeps in Redis.

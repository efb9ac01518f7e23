//! What every long-lived process does.

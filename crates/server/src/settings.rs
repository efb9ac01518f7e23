//! Settings: as written, then as meant.
//!
//! [`table`] is the one source: each key's name, type, limits, default, users and meaning. The
//! defaults, the reading of files, environment and flags, `chinwag config` and the reference page
//! all follow from it. [`Written`] gathers what was said where and remembers every problem;
//! [`Settings::mean`] turns it into what the parts of a process are built from. Behind that
//! nothing is checked again.

pub mod document;
pub mod environment;
pub mod keys;
pub mod kind;
pub mod meant;
pub mod problem;
pub mod suggest;
pub mod table;
pub mod written;

pub use keys::Keys;
pub use meant::Settings;
pub use problem::Problems;
pub use table::Role;
pub use written::Written;

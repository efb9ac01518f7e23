//! The chat page and the browser client, embedded in the binary: plain ES modules that a browser loads as they are.
//!
//! Owns the files under `assets` and what has to be said beside them in HTTP: types, tags for caching, and the headers
//! that keep foreign scripts out. It must never know a request, a user or a server: who serves the page asks for a path
//! and sends what it gets.
//!
//! ```
//! let page = chinwag_web::asset("/").expect("the page is embedded");
//! assert_eq!(page.content_type, "text/html; charset=utf-8");
//! assert!(chinwag_web::asset("/page/../secret").is_none());
//! ```

mod asset;
mod headers;

pub use asset::{Asset, asset};
pub use headers::HEADERS;

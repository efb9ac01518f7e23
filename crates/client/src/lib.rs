//! The Rust client.
//!
//! A [`Client`](client::Client) keeps one connection to a chinwag server, comes back when it is
//! lost, goes on in every room where it stood, and sends messages again until they are
//! acknowledged, so that each is stored once and each publication is shown once, in order. What
//! it could not get is named, never passed over. A [`Connection`](connection::Connection) is one
//! WebSocket, for tests and load tools.
//!
//! Never knows about anything inside a server: it speaks the protocol, as anybody may.
//!
//! ```no_run
//! use chinwag_client::client::Client;
//! use chinwag_client::connect::Options;
//! use chinwag_client::notice::Notice;
//!
//! # async fn example(token: String) -> Result<(), chinwag_client::error::Error> {
//! let options = Options::new("ws://127.0.0.1:8000/connection/websocket", token);
//! let (client, mut notices) = Client::connect(options).await?;
//! let sent = client.send_message("room:abc", &"hello").await?;
//! while let Some(notice) = notices.next().await {
//!     if let Notice::Publication { publication, .. } = notice
//!         && publication.offset == sent.seq
//!     {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod connect;
pub mod connection;

pub mod client;
pub mod message;
pub mod notice;
pub mod request;

pub mod room;

mod outbox;

mod session;

mod driver;

pub mod reconnect;

pub mod error;

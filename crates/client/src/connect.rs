//! Where and how to connect.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use chinwag_protocol::codec::Encoding;
use chinwag_protocol::request::{ConnectRequest, StreamPosition};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::Error;
use crate::message::Level;
use crate::reconnect::Backoff;

/// Where to connect, as whom, and how.
#[derive(Clone)]
pub struct Options {
    /// `ws://host:port/connection/websocket`. TLS is a proxy's business.
    pub url: String,
    /// Further addresses of the same system. After a failure the next one is tried.
    pub more_urls: Vec<String>,
    /// Who this is; empty for nobody in particular.
    pub token: String,
    /// How to talk.
    pub encoding: Encoding,
    /// This client's name, for the server's operator. At most 16 bytes.
    pub name: String,
    /// Whatever the application adds to connecting (JSON); may be empty.
    pub data: Bytes,
    /// Headers of the upgrade request, such as `origin`.
    pub headers: Vec<(String, String)>,
    /// The address to connect from. A single address has some 28,000 ports for one server.
    pub source: Option<IpAddr>,
    /// How many bytes the system takes in before this client reads them; its own choice if absent.
    pub receive_buffer: Option<u32>,
    /// How long connecting may take, and then the server's first answer.
    pub open_timeout: Duration,
    /// How long a call waits for its answer, and a write for the network.
    pub call_timeout: Duration,
    /// How much later than the server announced a ping may come before the server counts as dead.
    pub ping_delay: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// Most notices waiting for the application. While there are that many the client does not
    /// read on: the server keeps what is missing, and the connection may be closed as slow.
    pub notices: usize,
    /// Most messages that are not durable yet. Further ones are refused.
    pub outbox: usize,
    /// Most bytes of them.
    pub outbox_bytes: usize,
    /// How safe messages shall be before they are acknowledged; the server's rule if absent.
    pub ack: Option<Level>,
    /// Whether the server shall tell what is durable.
    pub marks: bool,
    /// How long to wait for word that a message is durable before asking.
    pub mark_timeout: Duration,
    /// Where to go on, by room: what [`Notices::positions`](crate::notice::Notices::positions)
    /// gave, or what the application kept itself.
    pub positions: BTreeMap<String, StreamPosition>,
}

impl Options {
    /// JSON, and defaults for all else.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            more_urls: Vec::new(),
            token: token.into(),
            encoding: Encoding::Json,
            name: "rust".to_owned(),
            data: Bytes::new(),
            headers: Vec::new(),
            source: None,
            receive_buffer: None,
            open_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(10),
            ping_delay: Duration::from_secs(10),
            backoff: Backoff::default(),
            notices: 1024,
            outbox: 4096,
            outbox_bytes: 8 * 1024 * 1024,
            ack: None,
            marks: true,
            mark_timeout: Duration::from_secs(10),
            positions: BTreeMap::new(),
        }
    }

    /// The first command, before what was subscribed is added.
    #[must_use]
    pub fn connect_request(&self) -> ConnectRequest {
        ConnectRequest {
            token: self.token.clone(),
            data: self.data.clone(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ConnectRequest::default()
        }
    }

    /// Opens the WebSocket, on which nothing is said yet.
    pub(crate) async fn open(&self) -> Result<WebSocketStream<TcpStream>, Error> {
        let request = self.upgrade_request()?;
        let opening = async {
            let stream = self.dial(&request).await?;
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(4096)
                .max_write_buffer_size(4 * 1024 * 1024)
                .max_message_size(Some(16 * 1024 * 1024));
            let opened =
                tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
            opened.map(|(socket, _)| socket).map_err(Error::from)
        };
        tokio::time::timeout(self.open_timeout, opening)
            .await
            .map_err(|_| Error::Unreachable("connecting took too long".to_owned()))?
    }

    fn upgrade_request(&self) -> Result<Request, Error> {
        let bad = |what: &str| Error::Option(format!("{what}: {}", self.url));
        let mut request = self
            .url
            .as_str()
            .into_client_request()
            .map_err(|error| bad(&error.to_string()))?;
        if request.uri().scheme_str() != Some("ws") {
            return Err(bad("url must begin with ws://"));
        }
        let headers = request.headers_mut();
        if self.encoding == Encoding::Protobuf {
            let name = HeaderValue::from_static(self.encoding.subprotocol());
            headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        for (name, value) in &self.headers {
            let bad = |_| Error::Option(format!("header {name}"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
            let value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
            headers.insert(name, value);
        }
        Ok(request)
    }

    async fn dial(&self, request: &Request) -> Result<TcpStream, Error> {
        let unreachable = |error: std::io::Error| Error::Unreachable(error.to_string());
        let host = request.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = request.uri().port_u16().unwrap_or(80);
        let found = tokio::net::lookup_host((host, port)).await;
        let mut last = Error::Unreachable(format!("no address for {host}"));
        for address in found.map_err(unreachable)? {
            match self.dial_address(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = unreachable(error),
            }
        }
        Err(last)
    }

    async fn dial_address(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        if let Some(bytes) = self.receive_buffer {
            // Before connecting, as it decides what the peer is told.
            socket.set_recv_buffer_size(bytes)?;
        }
        // Small commands that wait for an answer must not wait for more of their kind.
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_websockets_are_opened() {
        for url in ["http://a/", "wss://a/", "ws:///x", "", "ws://a b/"] {
            let refused = Options::new(url, "").upgrade_request();
            assert!(matches!(refused, Err(Error::Option(_))), "{url}");
        }
        let mut options = Options::new("ws://127.0.0.1:8000/connection/websocket", "t");
        assert!(options.upgrade_request().is_ok());
        options.headers = vec![("x\n".to_owned(), "1".to_owned())];
        assert!(options.upgrade_request().is_err());
    }

    #[test]
    fn protobuf_is_asked_for_by_subprotocol() {
        let mut options = Options::new("ws://a/", "");
        let header = |options: &Options| {
            let request = options.upgrade_request().unwrap();
            request.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned()
        };
        assert_eq!(header(&options), None);
        options.encoding = Encoding::Protobuf;
        assert_eq!(header(&options).unwrap(), "centrifuge-protobuf");
    }
}

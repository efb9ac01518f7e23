//! Many requests over a few connections: a benchmark needs thousands of accounts and rooms.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a server may be too busy for a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before asking again.
const LATER: Duration = Duration::from_millis(200);

/// A connection that stays.
pub(crate) struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// What drives the connection; it ends with this value.
    _driver: JoinSet<()>,
}

/// The host and the port of a URL.
pub(crate) fn authority(url: &str) -> Result<String> {
    let uri: Uri = url.parse().with_context(|| format!("--url {url}"))?;
    let authority = uri
        .authority()
        .with_context(|| format!("no host in {url}"))?;
    Ok(match authority.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    })
}

impl Line {
    pub async fn to(url: &str) -> Result<Self> {
        let host = authority(url)?;
        let connecting = TcpStream::connect(&host);
        let stream = connecting
            .await
            .with_context(|| format!("connect to {host}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for an answer hears of it too.
            drop(connection.await);
        });
        Ok(Self {
            sender,
            host,
            _driver: driver,
        })
    }

    /// Asks, and asks again while the server is too busy.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value> {
        let late = Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.once(method.clone(), path, token, body).await?;
            let is_busy = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::SERVICE_UNAVAILABLE,
            ];
            if status.is_success() {
                return Ok(answer);
            }
            if !is_busy.contains(&status) || Instant::now() > late {
                bail!("{method} {path}: {status}: {}", answer["error"]["message"]);
            }
            tokio::time::sleep(LATER).await;
        }
    }

    async fn once(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Value::Null => Bytes::new(),
            body => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
        };
        self.sender.ready().await?;
        let answer = self
            .sender
            .send_request(request.body(Full::new(body))?)
            .await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }
}

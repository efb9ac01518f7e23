//! HTTP to one gateway of the loopback, with a deadline.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asks and gives the JSON of the answer.
///
/// # Errors
/// If nobody answers in time, or with an error.
pub(crate) async fn call(
    method: Method,
    port: u16,
    path: &str,
    token: &str,
    body: Option<&Value>,
    patience: Duration,
) -> Result<Value> {
    let asking = exchange(method, port, path, token, body);
    let (status, bytes) = timeout(patience, asking)
        .await
        .with_context(|| format!("no answer from {port} to {path}"))??;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if !(200..300).contains(&status) {
        bail!("{path}: {status}: {}", answer["error"]["message"]);
    }
    Ok(answer)
}

/// The status of a page.
///
/// # Errors
/// If nobody answers in time.
pub(crate) async fn status(port: u16, path: &str, patience: Duration) -> Result<u16> {
    let asking = exchange(Method::GET, port, path, "", None);
    let (status, _) = timeout(patience, asking).await??;
    Ok(status)
}

async fn exchange(
    method: Method,
    port: u16,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<(u16, Bytes)> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("127.0.0.1:{port}"))
        .header(CONTENT_TYPE, "application/json");
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(body)))?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        anyhow::Ok((status, answer.into_body().collect().await?.to_bytes()))
    };
    tokio::select! {
        answer = asking => answer,
        ended = connection => {
            ended?;
            bail!("{port} hung up");
        }
    }
}

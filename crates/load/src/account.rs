//! Accounts and rooms for a scenario, made over HTTP.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Somebody who takes part.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub id: String,
    pub token: String,
}

/// A part of names that no run before had.
pub(crate) fn run_name() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}", now.as_millis())
}

/// Registers somebody.
pub(crate) async fn register(url: &str, name: &str) -> Result<Account> {
    // A throw-away account that nobody knows the password of: the time is its secret's salt.
    let password = format!(
        "{name}-{:x}-load",
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos()
    );
    let body = json!({ "name": name, "password": password });
    let answer = post(url, "/v1/users", "", &body)
        .await
        .context("register a user")?;
    let token = answer["token"]
        .as_str()
        .context("no token in the answer")?
        .to_owned();
    let id = answer["user"]["id"]
        .as_str()
        .context("no user in the answer")?
        .to_owned();
    Ok(Account { id, token })
}

/// Makes a group; its id.
pub(crate) async fn make_room(
    url: &str,
    owner: &Account,
    name: &str,
    members: &[String],
) -> Result<String> {
    let body = json!({ "name": name, "members": members });
    let answer = post(url, "/v1/rooms", &owner.token, &body)
        .await
        .context("make a room")?;
    Ok(answer["room"]["id"]
        .as_str()
        .context("no room in the answer")?
        .to_owned())
}

async fn post(url: &str, path: &str, token: &str, body: &Value) -> Result<Value> {
    let uri: Uri = url.parse().with_context(|| format!("--url {url}"))?;
    let host = uri
        .authority()
        .with_context(|| format!("--url {url}: no host"))?
        .to_string();
    let stream = TcpStream::connect(&host)
        .await
        .with_context(|| format!("connect to {host}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::post(path)
        .header(HOST, &host)
        .header(CONTENT_TYPE, "application/json");
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string())))?;
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer?,
        ended = connection => {
            ended?;
            bail!("{host} hung up");
        }
    };
    let status = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if !status.is_success() {
        bail!("{host} answers {status}: {}", answer["error"]["message"]);
    }
    Ok(answer)
}

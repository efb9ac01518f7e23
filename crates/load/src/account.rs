//! Accounts and rooms for a scenario, made over HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::sign::Signer;

/// How often a request is made again because the server was busy.
const MOST_LATER: u32 = 60;
/// How long to wait then, if the server does not say, and at most.
const LATER: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(5);

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

/// Somebody new: registered, or known to the server by a token of ours.
pub(crate) async fn come(url: &str, name: &str, signer: Option<&Signer>) -> Result<Account> {
    let Some(signer) = signer else {
        return register(url, name).await;
    };
    let account = Account {
        id: name.to_owned(),
        token: signer.token(name),
    };
    let shown = ask(Method::GET, url, "/v1/me", &account.token, None).await;
    shown.context("come with a signed token (is it the server's secret?)")?;
    Ok(account)
}

/// Registers somebody.
pub(crate) async fn register(url: &str, name: &str) -> Result<Account> {
    // A throw-away account that nobody knows the password of: the time is its secret's salt.
    let password = format!(
        "{name}-{:x}-load",
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos()
    );
    let body = json!({ "name": name, "password": password });
    let answer = ask(Method::POST, url, "/v1/users", "", Some(&body))
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

/// Members with which a room can begin, beside its maker.
const FIRST_MEMBERS: usize = 100;

/// Makes a group; its id.
pub(crate) async fn make_room(
    url: &str,
    owner: &Account,
    name: &str,
    members: &[String],
) -> Result<String> {
    let (first, others) = members.split_at(members.len().min(FIRST_MEMBERS));
    let body = json!({ "name": name, "members": first });
    let answer = ask(Method::POST, url, "/v1/rooms", &owner.token, Some(&body))
        .await
        .context("make a room")?;
    let room = answer["room"]["id"]
        .as_str()
        .context("no room in the answer")?
        .to_owned();
    for member in others {
        let body = json!({ "user": member });
        let path = format!("/v1/rooms/{}/members", escaped(&room));
        let invited = ask(Method::POST, url, &path, &owner.token, Some(&body)).await;
        invited.context("bring somebody into a room")?;
    }
    Ok(room)
}

/// A page of a room's events after a sequence.
pub(crate) async fn page(url: &str, token: &str, room: &str, after: u64) -> Result<Value> {
    let room = escaped(room);
    let path = format!("/v1/rooms/{room}/messages?after={after}&limit=200");
    let page = ask(Method::GET, url, &path, token, None).await;
    page.context("read a room's history")
}

/// Rooms' names have nothing else in them that a path cannot.
fn escaped(room: &str) -> String {
    room.replace('#', "%23").replace(':', "%3A")
}

/// Asks, and asks again while the server wants to be asked later.
async fn ask(
    method: Method,
    url: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let mut later = 0;
    loop {
        let answer = ask_once(method.clone(), url, path, token, body).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !busy.contains(&answer.status) || later >= MOST_LATER {
            let (status, error) = (answer.status, &answer.body["error"]["message"]);
            bail!("{url} answers {status}: {error}");
        }
        later += 1;
        // Not all of those who were told so at the same time.
        let pause = answer.retry_after.unwrap_or(LATER).min(MOST_PAUSE);
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// An answer of the server.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Value,
}

async fn ask_once(
    method: Method,
    url: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let uri: Uri = url.parse().with_context(|| format!("--url {url}"))?;
    let host = uri
        .authority()
        .with_context(|| format!("--url {url}: no host"))?
        .to_string();
    let port = if uri.port().is_some() { "" } else { ":80" };
    let stream = TcpStream::connect(format!("{host}{port}"))
        .await
        .with_context(|| format!("connect to {host}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, &host);
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(body)))?;
    let answering = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let seconds = answer.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|text| text.to_str().ok()?.parse().ok());
        let bytes = answer.into_body().collect().await?.to_bytes();
        Ok::<_, anyhow::Error>(Answer {
            status,
            retry_after: seconds.map(Duration::from_secs),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        })
    };
    tokio::select! {
        biased;
        answer = answering => answer,
        ended = connection => {
            ended?;
            bail!("{host} hung up");
        }
    }
}

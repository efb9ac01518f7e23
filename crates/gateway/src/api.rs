//! The server API: how a host's own programs publish and look into channels, as PyPI's `cent` and
//! the other clients of Centrifugo's API speak it.
//!
//! `POST /api/<method>` with a JSON object and the key (`X-API-Key: KEY` or `Authorization: apikey
//! KEY`) gives `{"result":{...}}` or `{"error":{"code","message"}}`, both with status 200: other
//! statuses say that the request did not get as far. Without a key in the settings there is no
//! such API. Options that cannot be honoured are refused, never ignored.

mod batch;
mod control;
mod look;
mod publish;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::json::Json;
use ring::hmac;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::config::{Policy, Secret};
use crate::http::Http;
use crate::http::body;
use crate::http::failure::Failure;
use crate::verbs::request;

/// Largest request, in bytes: a broadcast names many channels.
const REQUEST_BYTES: usize = 1024 * 1024;

/// The API, if it has a key.
pub(crate) fn router(http: &Http) -> Router {
    if http.backend.config.api_key.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/api/{method}", post(serve))
        .with_state(http.clone())
}

async fn serve(
    State(http): State<Http>,
    Path(method): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let key = http.backend.config.api_key.as_ref();
    if !key.is_some_and(|key| shows(request.headers(), key)) {
        metrics::counter!("chinwag_gateway_refusals_total", "reason" => "api_key").increment(1);
        return Err(Refusal::new(Code::Unauthorized, "the API key is missing or wrong").into());
    }
    let data = body::read(request, REQUEST_BYTES).await?;
    if !data.is_empty() && serde_json::from_slice::<IgnoredAny>(&data).is_err() {
        return Err(Refusal::new(Code::BadRequest, "the request must be JSON").into());
    }
    match call(&http, &method, &data).await {
        Err(refusal) if refusal.code == Code::MethodNotFound => Err(refusal.into()),
        // A batch has an error of its own for each of its commands.
        Ok(replies) if method == "batch" => Ok(axum::Json(replies).into_response()),
        outcome => Ok(axum::Json(Reply::of(outcome)).into_response()),
    }
}

/// Runs the method of this name.
async fn call(http: &Http, method: &str, data: &Bytes) -> Result<Json, Refusal> {
    let backend = &http.backend;
    match method {
        "publish" => answer(publish::publish(backend, parse(data)?).await),
        "broadcast" => answer(publish::broadcast(backend, parse(data)?).await),
        "presence" => answer(look::presence(http, parse(data)?).await),
        "presence_stats" => answer(look::presence_stats(http, parse(data)?).await),
        "history" => answer(look::history(backend, parse(data)?).await),
        "info" => answer(look::info(http).await),
        "subscribe" => answer(control::subscribe(backend, parse(data)?).await),
        "unsubscribe" => answer(control::unsubscribe(backend, parse(data)?).await),
        "disconnect" => answer(control::disconnect(backend, parse(data)?).await),
        "batch" => answer(batch::batch(http, parse(data)?).await),
        // A room's log is what everybody can recover from: nobody empties it, and a Redis full
        // of rooms is not listed.
        "history_remove" | "channels" | "refresh" => {
            let message = format!("{method} is not available here");
            Err(Refusal::new(Code::NotAvailable, message))
        }
        _ => Err(Refusal::new(Code::MethodNotFound, "no such method")),
    }
}

fn parse<T: DeserializeOwned>(data: &Bytes) -> Result<T, Refusal> {
    request::parse(data)
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Result<Json, Refusal> {
    result.map(|result| Json::of(&result))
}

/// What a request gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply<T> {
    /// It succeeded.
    Result(T),
    /// It did not.
    Error(Failed),
}

/// Why a request did not succeed.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    /// The number of the code.
    code: u32,
    /// What the host may know.
    message: String,
}

impl<T> Reply<T> {
    fn of(outcome: Result<T, Refusal>) -> Self {
        match outcome {
            Ok(result) => Self::Result(result),
            Err(refusal) => Self::Error(Failed {
                code: refusal.code.number(),
                message: refusal.message,
            }),
        }
    }
}

/// A method that has nothing to say.
#[derive(Debug, Serialize)]
pub(crate) struct Done {}

/// A channel by its name, and what may be done in it. The host may do everything, but not in a
/// namespace that does not exist.
fn channel(http: &crate::backend::Backend, name: &str) -> Result<(RoomId, Policy), Refusal> {
    let room = RoomId::new(name).map_err(|violation| violation.of("channel"))?;
    let unknown = || Refusal::new(Code::UnknownChannel, "unknown channel namespace");
    let policy = http.config.namespaces.policy(&room).ok_or_else(unknown)?;
    Ok((room, policy))
}

/// The refusal of an option that cannot be honoured.
fn unsupported(option: &str) -> Refusal {
    Refusal::new(
        Code::NotAvailable,
        format!("{option}: is not available here"),
    )
}

/// Whether the headers show the key.
fn shows(headers: &HeaderMap, key: &Secret) -> bool {
    let by_scheme = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("apikey")
            .then(|| shown.trim().as_bytes())
    });
    let shown = headers.get("x-api-key").map(HeaderValue::as_bytes);
    shown.or(by_scheme).is_some_and(|shown| is(shown, key))
}

/// Compares in a time that depends on neither: by their codes under a key, not by themselves.
fn is(shown: &[u8], key: &Secret) -> bool {
    let comparing = hmac::Key::new(hmac::HMAC_SHA256, b"chinwag api key");
    let expected = hmac::sign(&comparing, key.expose());
    hmac::verify(&comparing, shown, expected.as_ref()).is_ok()
}

//! The same verbs over HTTP, for programs that need no socket, and what a socket cannot do:
//! accounts and sessions. And the page.
//!
//! Each file holds one resource. A handler takes its authority as an argument, `Signed`,
//! and gives an answer or a [`failure::Failure`]; what that looks like is written in one place.

pub mod address;
pub mod failure;

pub(crate) mod body;
mod caller;
mod measure;
mod name;
mod origin;
mod page;

mod direct;
mod me;
mod members;
mod messages;
mod rooms;
mod sessions;
mod users;
mod visits;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use chinwag_protocol::code::{Code, Refusal};

use self::failure::Failure;
use crate::alive::Alive;
use crate::api;
use crate::backend::Backend;
use crate::password::Passwords;

pub use self::address::PeerAddress;
pub use self::visits::Visits;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Http {
    pub backend: Backend,
    pub passwords: Arc<Passwords>,
    pub visits: Arc<Visits>,
    pub alive: Alive,
}

/// Everything that is served over HTTP but the sockets: `/v1`, `/api` if it has a key, the page.
///
/// Who serves it inserts a [`PeerAddress`] into each request; without one, attempts to log in are
/// limited by account only.
pub fn router(backend: Backend, passwords: Arc<Passwords>, visits: Arc<Visits>) -> Router {
    let http = Http {
        backend,
        passwords,
        visits,
        alive: Alive::default(),
    };
    let cors = origin::layer(&http.backend.config.allowed_origins);
    let api = api::router(&http);
    resources()
        .method_not_allowed_fallback(wrong_method)
        .layer(cors)
        .with_state(http)
        .merge(api.method_not_allowed_fallback(wrong_method))
        .layer(map_response(never_stored))
        .fallback(elsewhere)
        .layer(from_fn(measure::measured))
}

fn resources() -> Router<Http> {
    Router::new()
        .route("/v1/users", post(users::register))
        .route("/v1/users/{user}", get(users::show))
        .route("/v1/sessions", post(sessions::begin))
        .route("/v1/sessions/current", delete(sessions::end))
        .route("/v1/me", get(me::show))
        .route("/v1/me/password", put(me::change_password))
        .route("/v1/rooms", get(rooms::list).post(rooms::create))
        .route("/v1/rooms/{room}", get(rooms::show))
        .route(
            "/v1/rooms/{room}/members",
            get(members::list).post(members::add),
        )
        .route("/v1/rooms/{room}/members/me", delete(members::leave))
        .route(
            "/v1/rooms/{room}/messages",
            get(messages::page).post(messages::send),
        )
        .route("/v1/rooms/{room}/read", post(messages::mark_read))
        .route("/v1/direct/{user}", post(direct::open))
}

/// Answers are for who asked, now.
async fn never_stored(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(no_store);
    response
}

/// Whatever is not a resource is a file of the page, or nothing.
async fn elsewhere(method: Method, uri: Uri, headers: axum::http::HeaderMap) -> Response {
    let path = uri.path();
    let reserved = ["/v1", "/api", "/connection"].iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let file = if reserved {
        None
    } else {
        chinwag_web::asset(path)
    };
    let Some(file) = file else {
        return Failure::from(Refusal::new(Code::NotFound, "no such resource")).into_answer();
    };
    if method != Method::GET && method != Method::HEAD {
        return wrong_method().await;
    }
    page::answer(file, &headers)
}

async fn wrong_method() -> Response {
    Failure::from(Refusal::new(
        Code::MethodNotFound,
        "no such method on this resource",
    ))
    .with_status(StatusCode::METHOD_NOT_ALLOWED)
    .into_answer()
}

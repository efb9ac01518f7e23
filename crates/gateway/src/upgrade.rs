//! From HTTP to a socket: who may, in which encoding, with which buffers.

use std::rc::Rc;
use std::time::Duration;

use axum::body::Body;
use chinwag_protocol::codec::Encoding;
use chinwag_protocol::id::ClientId;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::admission::Admission;
use crate::connection::Connection;
use crate::framing::Watched;
use crate::gate::Place;
use crate::shard::Shard;
use crate::socket;

/// Answers a request for a socket. If it is granted, the connection goes on in a task of its own.
pub(crate) fn answer(
    shard: &Rc<Shard>,
    mut request: Request<Incoming>,
    place: Rc<Place>,
) -> Response<Body> {
    if shard.context.is_stopping() {
        return busy("draining", "this gateway is stopping", Admission::later());
    }
    let allowed = &shard.backend.config.allowed_origins;
    if !origin_allowed(request.headers(), allowed) {
        let message = "this page's origin is not allowed; see the setting gateway.allowed_origins";
        return refused(StatusCode::FORBIDDEN, "origin", message);
    }
    let mut response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let message = format!("not a WebSocket handshake: {error}");
            return refused(StatusCode::BAD_REQUEST, "handshake", &message);
        }
    };
    let encoding = match encoding(request.headers()) {
        Ok((encoding, chosen)) => {
            if let Some(chosen) = chosen {
                response
                    .headers_mut()
                    .insert(SEC_WEBSOCKET_PROTOCOL, chosen);
            }
            encoding
        }
        Err(message) => return refused(StatusCode::BAD_REQUEST, "subprotocol", message),
    };
    if let Err(wait) = shard.gate.admission.admit() {
        return busy(
            "connect_rate",
            "too many are connecting just now; try again",
            wait,
        );
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let shard = Rc::clone(shard);
    shard.context.clone().spawn_local("socket", async move {
        match upgrade.await {
            Ok(upgraded) => open(shard, TokioIo::new(upgraded), encoding, place).await,
            Err(error) => tracing::debug!(%error, "an upgrade was not completed"),
        }
    });
    response
}

/// The place is held as long as the socket is open.
async fn open(
    shard: Rc<Shard>,
    io: TokioIo<hyper::upgrade::Upgraded>,
    encoding: Encoding,
    place: Rc<Place>,
) {
    let config = &shard.backend.config;
    let websocket = WebSocketConfig::default()
        // The default of 128 KiB is zero-filled before each read: a ninth of the speed, 20 times
        // the memory.
        .read_buffer_size(1024)
        // What is fed gathers up to here and goes out in one write.
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(1024 * 1024 + config.outbox_limit.saturating_mul(2))
        .max_message_size(Some(config.message_limit))
        .max_frame_size(Some(config.message_limit));
    let stream =
        WebSocketStream::from_raw_socket(Watched::new(io), Role::Server, Some(websocket)).await;
    let name = uuid::Uuid::now_v7().to_string();
    let Ok(client) = ClientId::new(name) else {
        return;
    };
    let connection = Connection::new(shard.number(), client, encoding, config.outbox_limit);
    connection.pending_at(&place);
    socket::serve(shard, connection, stream).await;
}

/// The encoding that a client asks for, and the subprotocol to name in the answer.
fn encoding(headers: &HeaderMap) -> Result<(Encoding, Option<HeaderValue>), &'static str> {
    let mut asked = false;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value
            .to_str()
            .map_err(|_| "Sec-WebSocket-Protocol: must be ASCII")?;
        for name in value.split(',').map(str::trim) {
            asked = true;
            if let Some(encoding) = Encoding::from_subprotocol(name) {
                let chosen = HeaderValue::from_static(encoding.subprotocol());
                return Ok((encoding, Some(chosen)));
            }
        }
    }
    match asked {
        false => Ok((Encoding::Json, None)),
        true => Err("Sec-WebSocket-Protocol: must be centrifuge-json or centrifuge-protobuf"),
    }
}

/// Browsers name the page's origin. Others name none, and carry no ambient authority either.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if allowed
        .iter()
        .any(|one| one == "*" || one.eq_ignore_ascii_case(origin))
    {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, host)| host);
    matches!((own, host), (Some(own), Some(host)) if own.eq_ignore_ascii_case(host))
}

fn busy(reason: &'static str, message: &str, after: Duration) -> Response<Body> {
    metrics::counter!("chinwag_gateway_refusals_total", "reason" => reason).increment(1);
    crate::busy::response(reason, message, after)
}

fn refused(status: StatusCode, reason: &'static str, message: &str) -> Response<Body> {
    metrics::counter!("chinwag_gateway_refusals_total", "reason" => reason).increment(1);
    let body = serde_json::json!({
        "error": { "code": status.as_u16(), "slug": reason, "message": message }
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: Option<&str>, list: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example:8000"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        origin_allowed(
            &headers,
            &list.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn only_our_own_page_and_listed_origins_may_connect() {
        assert!(allowed(None, &[]));
        assert!(allowed(Some("https://chat.example:8000"), &[]));
        assert!(!allowed(Some("https://evil.example"), &[]));
        assert!(!allowed(Some("null"), &[]));
        assert!(!allowed(
            Some("https://chat.example:8000.evil.example"),
            &[]
        ));
        assert!(allowed(
            Some("https://app.example"),
            &["https://app.example"]
        ));
    }
}

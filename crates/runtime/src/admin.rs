//! The admin port: `/live`, `/ready` and `/metrics`.
//!
//! It lives on a thread with a runtime of its own, so that it answers while everything else is
//! busy or stuck; and it answers until the very end of a drain. It is for operators and
//! orchestrators on a private network: plain HTTP/1.1, no authority asked for, nothing secret told.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::backoff::Backoff;
use crate::health::Health;
use crate::metrics::Metrics;

/// Further connections wait in the listener's backlog.
const MOST_CONNECTIONS: usize = 32;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A scraper that keeps its connection simply opens the next one.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");

/// The running admin server; it stops when this is dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Admin {
    /// Starts the server on its own thread.
    ///
    /// # Errors
    /// When the listener cannot be used, or there is no thread to be had.
    pub fn start(listener: TcpListener, health: Health, metrics: Metrics) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let served = async move {
                    tokio::select! {
                        () = accept(listener, &health, &metrics) => {}
                        () = keep_up(&metrics) => {}
                        () = stopped => {}
                    }
                };
                LocalSet::new().block_on(&runtime, served);
            })?;
        Ok(Self {
            address,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn keep_up(metrics: &Metrics) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        metrics.upkeep();
    }
}

async fn accept(listener: tokio::net::TcpListener, health: &Health, metrics: &Metrics) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut delays = Backoff::DEFAULT.delays();
    // The semaphore is never closed, so there is always a next place.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                delays.reset();
                let (health, metrics) = (health.clone(), metrics.clone());
                tokio::task::spawn_local(async move {
                    let serving = serve(stream, &health, &metrics);
                    if tokio::time::timeout(CONNECTION_TIMEOUT, serving)
                        .await
                        .is_err()
                    {
                        tracing::debug!("admin connection closed by age");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin listener failed to accept");
                delays.wait().await;
            }
        }
    }
}

async fn serve(stream: TcpStream, health: &Health, metrics: &Metrics) {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(respond(
            request.method(),
            request.uri().path(),
            health,
            metrics,
        ))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended early");
    }
}

fn respond(
    method: &Method,
    path: &str,
    health: &Health,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/live" => {
            let liveness = health.liveness();
            report(liveness.alive, &liveness)
        }
        "/ready" => {
            let readiness = health.readiness();
            report(readiness.ready, &readiness)
        }
        "/metrics" => answer(StatusCode::OK, PROMETHEUS, metrics.render()),
        _ => answer(
            StatusCode::NOT_FOUND,
            PLAIN,
            "there are /live, /ready and /metrics\n",
        ),
    }
}

fn report(good: bool, body: &impl Serialize) -> Response<Full<Bytes>> {
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match serde_json::to_vec(body) {
        Ok(json) => answer(status, JSON, json),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, error.to_string()),
    }
}

fn answer(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    struct Server {
        admin: Admin,
        health: Health,
    }

    impl Server {
        fn start() -> Self {
            let (health, metrics) = (Health::new(), Metrics::empty());
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let admin = Admin::start(listener, health.clone(), metrics).unwrap();
            Self { admin, health }
        }

        fn ask(&self, request_line: &str) -> String {
            let mut stream = std::net::TcpStream::connect(self.admin.address()).unwrap();
            write!(
                stream,
                "{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            response
        }
    }

    #[track_caller]
    fn check(response: &str, status: u16, body: &str) {
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        assert!(response.contains(body), "{response}");
    }

    #[test]
    fn readiness_follows_the_parts_and_the_drain() {
        let server = Server::start();
        let redis = server.health.part("redis");
        check(&server.ask("GET /ready"), 503, r#""redis":"starting""#);
        redis.ready();
        check(
            &server.ask("GET /ready"),
            200,
            r#"{"ready":true,"draining":false,"parts""#,
        );
        server.health.drain();
        check(&server.ask("GET /ready"), 503, r#""draining":true"#);
        check(&server.ask("GET /live"), 200, r#"{"alive":true"#);
    }

    #[test]
    fn every_request_has_its_answer() {
        let server = Server::start();
        check(&server.ask("GET /metrics"), 200, "chinwag_process_threads ");
        check(&server.ask("HEAD /metrics"), 200, "");
        check(&server.ask("GET /secrets"), 404, "there are");
        check(&server.ask("POST /live"), 405, "allow: GET, HEAD");
    }

    #[test]
    fn it_stops_when_dropped() {
        let Server { admin, .. } = Server::start();
        let address = admin.address();
        drop(admin);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_ok() {
            assert!(std::time::Instant::now() < deadline, "still listening");
            thread::yield_now();
        }
    }
}

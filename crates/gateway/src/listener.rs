//! The front door on one thread: accepts TCP, serves HTTP, and turns upgrades into sockets.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::gate::Place;
use crate::http::PeerAddress;
use crate::shard::Shard;
use crate::upgrade;

/// Where clients open sockets.
pub(crate) const SOCKET_PATH: &str = "/connection/websocket";

/// Accepts until the context stops.
pub(crate) async fn run(shard: Rc<Shard>, listener: TcpListener, router: Router) {
    let stopping = shard.context.stopping();
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            () = &mut stopping => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => begin(&shard, stream, peer, router.clone()),
            Err(error) => {
                // Out of descriptors, most often: wait for some to be given back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn begin(shard: &Rc<Shard>, stream: TcpStream, peer: SocketAddr, router: Router) {
    // Small pushes must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let address = peer.ip().to_canonical();
    match shard.gate.admit(address) {
        Ok(place) => {
            let connection = serve(Rc::clone(shard), stream, address, place, router);
            shard.context.spawn_local("connection", connection);
        }
        Err(reason) => {
            metrics::counter!("chinwag_gateway_refusals_total", "reason" => reason).increment(1);
        }
    }
}

async fn serve(shard: Rc<Shard>, stream: TcpStream, address: IpAddr, place: Place, router: Router) {
    let place = std::cell::RefCell::new(Some(place));
    let has_asked = std::cell::Cell::new(false);
    let handler = service_fn(|request: Request<Incoming>| {
        if !has_asked.replace(true) {
            shard.asking.update(|asking| asking + 1);
        }
        let (shard, router, place) = (Rc::clone(&shard), router.clone(), &place);
        async move { Ok::<_, Infallible>(answer(shard, request, address, place, router).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shard.backend.config.handshake_timeout)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), handler)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shard.context.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if has_asked.get() {
        shard.asking.update(|asking| asking - 1);
    }
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection ended early");
    }
}

async fn answer(
    shard: Rc<Shard>,
    mut request: Request<Incoming>,
    address: IpAddr,
    place: &std::cell::RefCell<Option<Place>>,
    router: Router,
) -> Response<Body> {
    if request.uri().path() == SOCKET_PATH {
        return upgrade::answer(&shard, request, place);
    }
    request.extensions_mut().insert(PeerAddress(address));
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

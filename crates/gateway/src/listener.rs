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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::admission::Admission;
use crate::busy;
use crate::gate::{Crowded, Place};
use crate::http::PeerAddress;
use crate::shard::Shard;
use crate::upgrade;

/// Most bytes that wait in the kernel for one connection before the network takes them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 16 * 1024;

/// Where clients open sockets.
pub(crate) const SOCKET_PATH: &str = "/connection/websocket";

/// How many are told at once, per thread, that there is no place for them.
const TURNED_AWAY: usize = 128;
/// How long that may take.
const TURNED_AWAY_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of their request is read, so that they read the answer.
const REQUEST: u64 = 16 * 1024;

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
    // What a slow peer has not taken waits here, where it can be done without, and not in the kernel.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
    }
    let address = peer.ip().to_canonical();
    match shard.gate.admit(address) {
        Ok(place) => {
            let connection = serve(Rc::clone(shard), stream, address, place, router);
            shard.context.spawn_local("connection", connection);
        }
        Err(crowded) => turn_away(shard, stream, crowded),
    }
}

/// Tells somebody for whom there is no place when to come again, whatever they wanted. If even those
/// who are told are too many, the rest hears nothing.
fn turn_away(shard: &Rc<Shard>, mut stream: TcpStream, crowded: Crowded) {
    metrics::counter!("chinwag_gateway_refusals_total", "reason" => crowded.reason()).increment(1);
    let told = shard.turned_away.get();
    if told >= TURNED_AWAY {
        return;
    }
    shard.turned_away.set(told + 1);
    let inside = Rc::clone(shard);
    shard.context.spawn_local("turned away", async move {
        let answer = busy::written(crowded.reason(), crowded.message(), Admission::later());
        let tell = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            // What the peer has sent meanwhile: closed on unread bytes, a socket takes back what
            // was written to it.
            let mut request = stream.take(REQUEST);
            tokio::io::copy(&mut request, &mut tokio::io::sink()).await
        };
        // Who does not listen is not waited for.
        drop(tokio::time::timeout(TURNED_AWAY_TIMEOUT, tell).await);
        inside.turned_away.update(|told| told - 1);
    });
}

async fn serve(shard: Rc<Shard>, stream: TcpStream, address: IpAddr, place: Place, router: Router) {
    let place = Rc::new(place);
    let has_asked = std::cell::Cell::new(false);
    let handler = service_fn(|request: Request<Incoming>| {
        if !has_asked.replace(true) {
            shard.asking.update(|asking| asking + 1);
        }
        let (shard, router, place) = (Rc::clone(&shard), router.clone(), Rc::clone(&place));
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
    place: Rc<Place>,
    router: Router,
) -> Response<Body> {
    if request.uri().path() == SOCKET_PATH {
        return upgrade::answer(&shard, request, place);
    }
    request.extensions_mut().insert(PeerAddress(address));
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => {
            place.establish();
            response
        }
        Err(never) => match never {},
    }
}

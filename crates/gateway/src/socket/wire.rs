//! Bytes to and from a peer, without waiting for it.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

use crate::framing::Watched;
use crate::outbox::Outbox;

/// Frames written in one turn; then the peer is read from, however much waits for it.
const FRAMES: usize = 4;

/// A socket as it is spoken through.
pub(crate) type Stream = WebSocketStream<Watched<TokioIo<Upgraded>>>;

/// What passed between us and a peer.
pub(super) enum Exchanged {
    /// It has said something, or gone.
    Read(Option<Result<Message, Error>>),
    /// It has taken what it had not taken before.
    Written(Result<(), Error>),
}

/// Waits until the peer takes what it has not taken (if `pressed`), or says something (if that is
/// to be heard).
pub(super) async fn exchange(stream: &mut Stream, pressed: bool, reads: bool) -> Exchanged {
    poll_fn(|context| {
        if pressed && let Poll::Ready(written) = stream.poll_flush_unpin(context) {
            return Poll::Ready(Exchanged::Written(written));
        }
        if reads {
            return stream.poll_next_unpin(context).map(Exchanged::Read);
        }
        Poll::Pending
    })
    .await
}

/// Writes what waits in an outbox, as much as belongs into one turn. `Pending` if the peer does not
/// take all of that now.
pub(super) async fn write(
    stream: &mut Stream,
    outbox: &Outbox,
    text: bool,
) -> Poll<Result<(), Error>> {
    poll_fn(|context| Poll::Ready(feed(stream, outbox, text, context))).await
}

fn feed(
    stream: &mut Stream,
    outbox: &Outbox,
    text: bool,
    context: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    for _ in 0..FRAMES {
        ready!(stream.poll_ready_unpin(context))?;
        let Some(frame) = outbox.frame(text) else {
            break;
        };
        stream.start_send_unpin(message(text, frame))?;
    }
    stream.poll_flush_unpin(context)
}

/// A frame as a WebSocket message.
fn message(text: bool, frame: Bytes) -> Message {
    if !text {
        return Message::Binary(frame);
    }
    match Utf8Bytes::try_from(frame) {
        Ok(text) => Message::Text(text),
        // All we say is JSON; this would be a bug, and must not end the socket.
        Err(error) => {
            tracing::error!(%error, "a frame is not UTF-8");
            Message::Text(Utf8Bytes::from_static("{}"))
        }
    }
}

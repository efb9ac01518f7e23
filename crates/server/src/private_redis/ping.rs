//! One question to a server that may not be there yet. Before the store connects nothing else is
//! wanted from it, so this is a line of its protocol and not a client.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const PATIENCE: Duration = Duration::from_secs(1);

/// What a server says to PING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It can be used.
    Ready,
    /// It reads its data.
    Loading,
    /// Nothing, or nothing that makes sense.
    Silent,
}

/// Asks the server behind a socket.
pub async fn ping(socket: &Path) -> Answer {
    let asked = tokio::time::timeout(PATIENCE, async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 32];
        let length = stream.read(&mut answer).await?;
        std::io::Result::Ok(answer[..length].to_vec())
    });
    match asked.await {
        Ok(Ok(answer)) if answer.starts_with(b"+PONG") => Answer::Ready,
        Ok(Ok(answer)) if answer.starts_with(b"-LOADING") => Answer::Loading,
        _ => Answer::Silent,
    }
}

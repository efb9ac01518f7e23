//! Bytes from one side to the other, late, slowly, in part or not at all.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::frames::Frames;
use super::toxics::Toxics;

/// Most chunks on the way in one direction. When full, nothing more is read: the peer's own
/// buffers fill, as on a slow line.
const ON_THE_WAY: usize = 256;
/// Largest chunk.
const CHUNK: usize = 16 * 1024;

/// Bytes and when they arrive.
type Chunk = (Instant, Bytes);

/// Joins two streams until one of them ends or the link is reset.
pub(crate) async fn join(
    mut client: TcpStream,
    mut server: TcpStream,
    toxics: watch::Receiver<Toxics>,
    parses: bool,
) {
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let resets = toxics.borrow().resets;
    let mut reset = toxics.clone();
    let frames = parses.then(Frames::default);
    let is_reset = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let up = direction(client_reads, server_writes, toxics.clone(), None);
        let down = direction(server_reads, client_writes, toxics, frames);
        tokio::select! {
            () = up => false,
            () = down => false,
            _ = reset.wait_for(|toxics| toxics.resets != resets) => true,
        }
    };
    if is_reset {
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}

/// One direction, until its reader ends.
async fn direction(
    reads: ReadHalf<'_>,
    writes: WriteHalf<'_>,
    toxics: watch::Receiver<Toxics>,
    frames: Option<Frames>,
) {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    let reading = read(reads, sender, toxics.clone(), frames);
    let writing = write(writes, receiver, toxics);
    tokio::join!(reading, writing);
}

async fn read(
    mut reads: ReadHalf<'_>,
    on_the_way: mpsc::Sender<Chunk>,
    toxics: watch::Receiver<Toxics>,
    mut frames: Option<Frames>,
) {
    let mut last = Instant::now();
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        match reads.read_buf(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let (late, dropped) = {
            let toxics = toxics.borrow();
            let jitter = toxics.jitter.mul_f64(fastrand::f64());
            (toxics.latency + jitter, toxics.dropped)
        };
        let chunk = match &mut frames {
            Some(frames) => frames.sieve(&chunk, || fastrand::f64() < dropped),
            None => chunk.freeze(),
        };
        // What is sent later does not arrive earlier.
        last = last.max(Instant::now() + late);
        if !chunk.is_empty() && on_the_way.send((last, chunk)).await.is_err() {
            return;
        }
    }
}

async fn write(
    mut writes: WriteHalf<'_>,
    mut on_the_way: mpsc::Receiver<Chunk>,
    mut toxics: watch::Receiver<Toxics>,
) {
    while let Some((at, chunk)) = on_the_way.recv().await {
        if at > Instant::now() {
            sleep_until(at).await;
        }
        let open = toxics.wait_for(|toxics| !toxics.black_hole).await;
        let Ok(bandwidth) = open.map(|toxics| toxics.bandwidth) else {
            return;
        };
        if writes.write_all(&chunk).await.is_err() {
            return;
        }
        if let Some(bandwidth) = bandwidth {
            let bytes = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let takes = f64::from(bytes) / f64::from(bandwidth.max(1));
            sleep(Duration::from_secs_f64(takes)).await;
        }
    }
    drop(writes.shutdown().await);
}

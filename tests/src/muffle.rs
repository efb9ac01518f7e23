//! A proxy before Redis that keeps publications from whoever listens through it, and nothing else.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::redis::Redis;

/// A listening proxy. It ends with the test's process.
pub struct Muffle {
    address: SocketAddr,
    kept: Arc<Kept>,
}

/// What is kept back.
#[derive(Default)]
struct Kept {
    /// How many of the next publications in rooms.
    next: AtomicUsize,
    /// All publications to connections that were opened before so many others.
    deaf: AtomicUsize,
    opened: AtomicUsize,
}

impl Muffle {
    /// A proxy before a Redis.
    ///
    /// # Errors
    /// If there is no port.
    pub fn before(redis: &Redis) -> Result<Self> {
        let url = redis.url();
        let socket = url.strip_prefix("redis+unix://").context("no socket")?;
        let socket = socket.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").context("bind a proxy")?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                if let Ok(server) = UnixStream::connect(&socket) {
                    join(&client, &server, &shared);
                }
            }
        });
        Ok(Self { address, kept })
    }

    /// The URL to reach Redis by.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Keeps back the next publications in rooms.
    pub fn keep_next(&self, count: usize) {
        self.kept.next.store(count, Ordering::SeqCst);
    }

    /// How many of them are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.kept.next.load(Ordering::SeqCst)
    }

    /// Keeps back all publications to whoever is connected now. They live on, and hear nothing.
    pub fn deafen(&self) {
        let opened = self.kept.opened.load(Ordering::SeqCst);
        self.kept.deaf.store(opened, Ordering::SeqCst);
    }
}

fn join(client: &TcpStream, server: &UnixStream, kept: &Arc<Kept>) {
    let number = kept.opened.fetch_add(1, Ordering::SeqCst);
    let _nagle = client.set_nodelay(true);
    let (Ok(mut up), Ok(mut down)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    if let (Ok(mut server), Ok(client)) = (server.try_clone(), client.try_clone()) {
        std::thread::spawn(move || {
            // Either side may break; the other is told by the end of its stream.
            drop(io::copy(&mut up, &mut server));
            drop(server.shutdown(Shutdown::Both));
            drop(client.shutdown(Shutdown::Both));
        });
    }
    if let Ok(mut client) = client.try_clone() {
        let kept = Arc::clone(kept);
        std::thread::spawn(move || {
            drop(pass_on(&mut down, &mut client, &kept, number));
            drop(client.shutdown(Shutdown::Both));
            drop(down.shutdown(Shutdown::Both));
        });
    }
}

/// Passes on what Redis says, value by value.
fn pass_on(
    from: &mut UnixStream,
    to: &mut TcpStream,
    kept: &Kept,
    number: usize,
) -> io::Result<()> {
    let mut waiting = Vec::new();
    let mut some = [0; 65_536];
    loop {
        let count = from.read(&mut some)?;
        if count == 0 {
            return Ok(());
        }
        waiting.extend_from_slice(&some[..count]);
        while let Some(length) = length(&waiting) {
            let value: Vec<u8> = waiting.drain(..length).collect();
            if !is_kept(&value, kept, number) {
                to.write_all(&value)?;
            }
        }
    }
}

fn is_kept(value: &[u8], kept: &Kept, number: usize) -> bool {
    let head = String::from_utf8_lossy(&value[..value.len().min(64)]);
    if !head.starts_with('>') || !head.contains("message\r\n") {
        return false;
    }
    if number < kept.deaf.load(Ordering::SeqCst) {
        return true;
    }
    let one_less = |left: usize| left.checked_sub(1);
    head.contains("channel:")
        && kept
            .next
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_ok()
}

/// The length of the first value, if it is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let after = line + 2;
    let count = || {
        std::str::from_utf8(&bytes[1..line])
            .ok()?
            .parse::<i64>()
            .ok()
    };
    let several =
        |count: i64| (0..count).try_fold(after, |at, _| Some(at + length(bytes.get(at..)?)?));
    match bytes[0] {
        b'$' | b'=' | b'!' => match usize::try_from(count()?) {
            Ok(count) => (bytes.len() >= after + count + 2).then_some(after + count + 2),
            Err(_) => Some(after),
        },
        b'*' | b'>' | b'~' => several(count()?),
        b'%' => several(2 * count()?),
        _ => Some(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_when_it_is_whole() {
        let push = b">3\r\n$7\r\nmessage\r\n$9\r\nchannel:x\r\n$2\r\n\r\n\r\n";
        assert_eq!(length(push), Some(push.len()));
        for cut in 0..push.len() {
            assert_eq!(length(&push[..cut]), None, "{cut}");
        }
        assert_eq!(length(b"%1\r\n+a\r\n:1\r\n$-1\r\n"), Some(12));
        assert_eq!(length(b"*-1\r\n:1\r\n"), Some(5));
    }
}

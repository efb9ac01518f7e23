//! One member's connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket as Raw, Type};

use super::frame::{self, Kind};

/// A WebSocket, as far as a client of a benchmark needs one.
pub(crate) struct Socket {
    pub stream: TcpStream,
    /// What waits to be written.
    pub out: Vec<u8>,
    /// The beginning of a frame whose end has not come.
    rest: Vec<u8>,
    /// Whether the upgrade is done.
    is_open: bool,
    pub is_writable: bool,
    /// Whether it is among those that are to be written.
    pub is_dirty: bool,
    pub is_closed: bool,
}

/// What a socket says.
pub(crate) enum Said<'a> {
    /// The WebSocket is open.
    Open,
    Frame(Kind, &'a [u8]),
    /// It has ended.
    Closed(&'a [u8]),
}

impl Socket {
    /// Begins to connect, from this address if there is one, and to ask for a WebSocket.
    pub fn connect(
        door: SocketAddr,
        source: Option<IpAddr>,
        path: &str,
        subprotocol: Option<&str>,
    ) -> Result<Self> {
        let raw = Raw::new(Domain::for_address(door), Type::STREAM, Some(Protocol::TCP))
            .context("make a socket")?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            let from = SocketAddr::new(source, 0);
            raw.bind(&from.into())
                .with_context(|| format!("bind to {source}"))?;
        }
        match raw.connect(&door.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error).with_context(|| format!("connect to {door}"));
            }
            _ => {}
        }
        Ok(Self {
            stream: TcpStream::from_std(raw.into()),
            out: frame::upgrade(&door.to_string(), path, subprotocol),
            rest: Vec::new(),
            is_open: false,
            is_writable: false,
            is_dirty: false,
            is_closed: false,
        })
    }

    /// Writes what waits, as far as the system takes it.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn flush(&mut self) -> io::Result<()> {
        self.is_dirty = false;
        while self.is_writable && !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) if written == self.out.len() => self.out.clear(),
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all that has come, and hands it over piece by piece; how many bytes it was.
    pub fn read(&mut self, buffer: &mut [u8], mut hear: impl FnMut(&mut Vec<u8>, Said<'_>)) -> u64 {
        let mut bytes = 0;
        while !self.is_closed {
            let count = match self.stream.read(buffer) {
                Ok(0) => {
                    self.is_closed = true;
                    hear(&mut self.out, Said::Closed(b"the server hung up"));
                    break;
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.is_closed = true;
                    hear(&mut self.out, Said::Closed(error.to_string().as_bytes()));
                    break;
                }
            };
            bytes += count as u64;
            self.take(buffer.get(..count).unwrap_or_default(), &mut hear);
            if count < buffer.len() {
                // Whatever comes next rings again.
                break;
            }
        }
        bytes
    }

    fn take(&mut self, bytes: &[u8], hear: &mut impl FnMut(&mut Vec<u8>, Said<'_>)) {
        let mut joined = std::mem::take(&mut self.rest);
        if joined.is_empty() {
            let taken = self.frames(bytes, hear);
            joined.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            joined.extend_from_slice(bytes);
            let taken = self.frames(&joined, hear);
            joined.drain(..taken);
        }
        self.rest = joined;
    }

    /// Hands over all frames that are whole; how many bytes they take.
    fn frames(&mut self, bytes: &[u8], hear: &mut impl FnMut(&mut Vec<u8>, Said<'_>)) -> usize {
        let mut taken = 0;
        if !self.is_open {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return 0;
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                self.is_closed = true;
                hear(&mut self.out, Said::Closed(bytes));
                return bytes.len();
            }
            self.is_open = true;
            hear(&mut self.out, Said::Open);
            taken = end + 4;
        }
        while let Some((kind, payload, length)) =
            frame::first(bytes.get(taken..).unwrap_or_default())
        {
            taken += length;
            match kind {
                Kind::Close => {
                    self.is_closed = true;
                    hear(&mut self.out, Said::Closed(payload));
                }
                Kind::Ping => frame::put(&mut self.out, Kind::Pong, payload),
                kind => hear(&mut self.out, Said::Frame(kind, payload)),
            }
        }
        taken
    }
}

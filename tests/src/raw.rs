//! A WebSocket client that does as it is told, frame by frame, also what none should do.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::Process;

/// How long a peer may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of frames.
pub mod opcode {
    /// More of the message before.
    pub const CONTINUATION: u8 = 0;
    /// Text.
    pub const TEXT: u8 = 1;
    /// The end.
    pub const CLOSE: u8 = 8;
    /// Is anybody there?
    pub const PING: u8 = 9;
}

/// An open WebSocket.
pub struct Raw {
    stream: TcpStream,
    /// What came in one frame with what was heard.
    heard: VecDeque<Value>,
}

/// A connection to a gateway on which nothing was said.
///
/// # Errors
/// If nobody listens.
pub fn dial(gateway: &Process) -> Result<TcpStream> {
    let public = gateway.public.as_deref().context("not a gateway")?;
    let stream = TcpStream::connect(public.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// All that a peer says until it closes.
#[must_use]
pub fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // An end without an answer is an answer too.
    drop(stream.read_to_end(&mut said));
    String::from_utf8_lossy(&said).into_owned()
}

impl Raw {
    /// Opens a WebSocket; or gives the answer by which it was refused.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn open(gateway: &Process) -> Result<Result<Self, String>> {
        let mut stream = dial(gateway)?;
        stream.write_all(
            b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                bail!("no answer: {}", String::from_utf8_lossy(&head));
            }
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("HTTP/1.1 101") {
            return Ok(Ok(Self {
                stream,
                heard: VecDeque::new(),
            }));
        }
        Ok(Err(head))
    }

    /// Opens a WebSocket and begins a session.
    ///
    /// # Errors
    /// If that is refused.
    pub fn connect(gateway: &Process, token: &str) -> Result<Self> {
        let mut raw = Self::open(gateway)?.map_err(anyhow::Error::msg)?;
        raw.say(&json!({ "id": 1, "connect": { "token": token } }))?;
        let answer = raw.hear()?;
        if answer["connect"].is_null() {
            bail!("no session: {answer}");
        }
        Ok(raw)
    }

    /// Sends a frame. What a peer that closes does not take is not missed.
    pub fn send(&mut self, opcode: u8, fin: bool, payload: &[u8]) {
        let mut frame = vec![opcode | if fin { 0x80 } else { 0 }];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(
                    u16::try_from(payload.len())
                        .unwrap_or(u16::MAX)
                        .to_be_bytes(),
                );
            }
        }
        // A mask of zeroes masks nothing.
        frame.extend([0; 4]);
        frame.extend(payload);
        drop(self.stream.write_all(&frame));
    }

    /// Sends a command.
    ///
    /// # Errors
    /// If the peer is gone.
    pub fn say(&mut self, command: &Value) -> Result<()> {
        self.send(opcode::TEXT, true, command.to_string().as_bytes());
        Ok(())
    }

    /// The next frame: its kind and payload.
    ///
    /// # Errors
    /// If the peer is gone, or silent for too long.
    pub fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let [first, second] = head;
        let length = match second & 0x7f {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut payload)?;
        Ok((first & 0x0f, payload))
    }

    /// The next message.
    ///
    /// # Errors
    /// As [`Raw::frame`].
    pub fn hear(&mut self) -> Result<Value> {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(message);
            }
            let (kind, payload) = self.frame()?;
            match kind {
                opcode::TEXT => {
                    for line in String::from_utf8(payload)?.lines() {
                        self.heard.push_back(serde_json::from_str(line)?);
                    }
                }
                opcode::CLOSE => bail!("closed: {:?}", close(&payload)),
                _ => {}
            }
        }
    }

    /// The answer to the command of this id, whatever comes before it.
    ///
    /// # Errors
    /// As [`Raw::frame`].
    pub fn answer(&mut self, id: u32) -> Result<Value> {
        loop {
            let message = self.hear()?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    /// All texts until the close, and its code and reason.
    ///
    /// # Errors
    /// As [`Raw::frame`].
    pub fn until_closed(&mut self) -> Result<(Vec<String>, u16, String)> {
        let mut said = Vec::new();
        loop {
            let (kind, payload) = self.frame()?;
            match kind {
                opcode::TEXT => {
                    let text = String::from_utf8(payload)?;
                    said.extend(text.lines().map(ToOwned::to_owned));
                }
                opcode::CLOSE => {
                    let (code, reason) = close(&payload);
                    return Ok((said, code, reason));
                }
                _ => {}
            }
        }
    }
}

fn close(payload: &[u8]) -> (u16, String) {
    match payload {
        [high, low, reason @ ..] => (
            u16::from_be_bytes([*high, *low]),
            String::from_utf8_lossy(reason).into_owned(),
        ),
        _ => (1005, String::new()),
    }
}

//! Between bytes and messages, in the two encodings of the centrifuge protocol.
//!
//! A frame (one WebSocket message) holds any number of messages. Each encoded message is
//! complete in itself: in JSON it ends with a line break, in Protobuf it begins with its length.
//! So **a frame is any concatenation of encoded messages**: replies, pushes and pings that were
//! encoded once, perhaps for many sockets, are put one after another and never encoded again.
//!
//! Decoding takes anything. It gives commands one by one, and tells what is wrong with a single
//! command (refuse it, go on) from what is wrong with the frame (close the connection).

mod error;
mod json;
mod messages;
mod protobuf;

use bytes::{Bytes, BytesMut};

pub use crate::codec::error::{DecodeError, EncodeError};
pub use crate::codec::messages::Messages;
use crate::command::Command;
use crate::limit;
use crate::push::Push;
use crate::reply::Reply;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON text, a line a message. In frames of type text.
    Json,
    /// Protobuf, each message after its length as a varint. In frames of type binary.
    Protobuf,
}

/// What a frame may hold. Beyond it the frame is refused, naming the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes in the frame.
    pub bytes: usize,
    /// Most messages in the frame.
    pub messages: usize,
    /// Deepest nesting of a JSON message, its own fields included.
    pub depth: usize,
    /// Most entries in a map of a message (subscriptions, headers).
    pub entries: usize,
}

impl Limits {
    /// What a server takes from a client.
    pub const SERVER: Self = Self {
        bytes: limit::FRAME_BYTES,
        messages: limit::COMMANDS_PER_FRAME,
        // Data as deep as may be, inside the fields that hold it.
        depth: limit::JSON_DEPTH + 4,
        entries: 1_000,
    };

    /// What a client takes from a server, which it trusts more.
    pub const CLIENT: Self = Self {
        bytes: 16 * 1024 * 1024,
        messages: 100_000,
        depth: limit::JSON_DEPTH + 16,
        entries: 100_000,
    };
}

impl Encoding {
    /// The WebSocket subprotocol that asks for it. JSON is also what no subprotocol means.
    #[must_use]
    pub fn subprotocol(self) -> &'static str {
        match self {
            Encoding::Json => "centrifuge-json",
            Encoding::Protobuf => "centrifuge-protobuf",
        }
    }

    /// The encoding that a subprotocol asks for.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        [Encoding::Json, Encoding::Protobuf]
            .into_iter()
            .find(|encoding| encoding.subprotocol() == name)
    }

    /// The label in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::Protobuf => "protobuf",
        }
    }

    /// Reads a client's frame, one command after another.
    #[must_use]
    pub fn decode_commands(self, frame: &Bytes, limits: Limits) -> Messages<Command> {
        Messages::new(self, frame, limits)
    }

    /// Reads a server's frame, one reply or push after another.
    #[must_use]
    pub fn decode_replies(self, frame: &Bytes, limits: Limits) -> Messages<Reply> {
        Messages::new(self, frame, limits)
    }

    /// Appends a command to a frame.
    ///
    /// # Errors
    /// Data that is not JSON cannot be said in JSON. The frame is then as it was.
    pub fn encode_command(
        self,
        command: &Command,
        frame: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        match self {
            Encoding::Json => json::encode(command, frame),
            Encoding::Protobuf => protobuf::encode(command, frame),
        }
    }

    /// Appends a reply to a frame.
    ///
    /// # Errors
    /// Data that is not JSON cannot be said in JSON. The frame is then as it was.
    pub fn encode_reply(self, reply: &Reply, frame: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Encoding::Json => json::encode(reply, frame),
            Encoding::Protobuf => protobuf::encode(reply, frame),
        }
    }

    /// Encodes a push once, for all sockets that get it.
    ///
    /// # Errors
    /// Data that is not JSON cannot be said in JSON.
    pub fn encode_push(self, push: &Push) -> Result<Bytes, EncodeError> {
        match self {
            Encoding::Json => json::encode_push(push),
            Encoding::Protobuf => protobuf::encode_push(push),
        }
    }

    /// An encoded ping, which is also what a pong looks like.
    #[must_use]
    pub fn ping(self) -> Bytes {
        match self {
            Encoding::Json => Bytes::from_static(b"{}\n"),
            Encoding::Protobuf => Bytes::from_static(b"\0"),
        }
    }
}

//! The messages of a frame, one by one.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::codec::{DecodeError, Encoding, Limits, json, protobuf};
use crate::command::{Command, Method};
use crate::reply::Reply;

/// The messages of one frame. Ends after a [`DecodeError::Frame`]: nothing behind it has meaning.
#[derive(Debug)]
pub struct Messages<M> {
    encoding: Encoding,
    /// What has not been read yet.
    rest: Bytes,
    limits: Limits,
    count: usize,
    message: PhantomData<fn() -> M>,
}

/// What both directions' messages have in common. Not to be named outside.
pub trait Message: prost::Message + Default + serde::de::DeserializeOwned {
    /// The message's id, the name of its largest map, and the map's entries.
    fn entries(&self) -> (u32, &'static str, usize);
}

impl Message for Command {
    fn entries(&self) -> (u32, &'static str, usize) {
        match &self.method {
            Some(Method::Connect(connect)) if connect.headers.len() > connect.subs.len() => {
                (self.id, "connect.headers", connect.headers.len())
            }
            Some(Method::Connect(connect)) => (self.id, "connect.subs", connect.subs.len()),
            _ => (self.id, "command", 0),
        }
    }
}

impl Message for Reply {
    fn entries(&self) -> (u32, &'static str, usize) {
        // Bounded by the size of a frame, from a server that the client chose.
        (self.id, "reply", 0)
    }
}

impl<M: Message> Messages<M> {
    pub(super) fn new(encoding: Encoding, frame: &Bytes, limits: Limits) -> Self {
        Self {
            encoding,
            rest: frame.clone(),
            limits,
            count: 0,
            message: PhantomData,
        }
    }

    /// The next message, or what is wrong with it; the limits on it are checked.
    fn read(&mut self) -> Option<Result<M, DecodeError>> {
        if self.rest.len() > self.limits.bytes {
            let (most, got) = (self.limits.bytes, self.rest.len());
            let problem = format!("must be at most {most} bytes, got {got}");
            return Some(Err(DecodeError::frame("frame", problem)));
        }
        let piece = match self.encoding {
            Encoding::Json => Ok(json::split(&mut self.rest)?),
            Encoding::Protobuf => protobuf::split(&mut self.rest)?,
        };
        self.count += 1;
        if self.count > self.limits.messages {
            let problem = format!("must hold at most {} messages", self.limits.messages);
            return Some(Err(DecodeError::frame("frame", problem)));
        }
        Some(piece.and_then(|piece| self.decode(piece)))
    }

    fn decode(&self, piece: Bytes) -> Result<M, DecodeError> {
        let message: M = match self.encoding {
            Encoding::Json => json::decode(&piece, self.limits.depth)?,
            Encoding::Protobuf => protobuf::decode(piece)?,
        };
        let (id, field, entries) = message.entries();
        if entries > self.limits.entries {
            let most = self.limits.entries;
            let problem = format!("must have at most {most} entries, got {entries}");
            return Err(DecodeError::of(id, field.to_owned(), problem));
        }
        Ok(message)
    }
}

impl<M: Message> Iterator for Messages<M> {
    type Item = Result<M, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read();
        if matches!(item, Some(Err(DecodeError::Frame { .. }))) {
            self.rest.clear();
        }
        item
    }
}

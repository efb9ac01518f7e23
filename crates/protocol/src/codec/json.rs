//! JSON: a line a message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::codec::messages::Message;
use crate::codec::{DecodeError, EncodeError};
use crate::json::depth;
use crate::push::Push;

/// Takes the next line that is not blank off the frame.
pub(super) fn split(frame: &mut Bytes) -> Option<Bytes> {
    while !frame.is_empty() {
        let end = frame.iter().position(|byte| *byte == b'\n');
        let line = frame.split_to(end.unwrap_or(frame.len()));
        if end.is_some() {
            frame.advance(1);
        }
        if !line.trim_ascii().is_empty() {
            return Some(line);
        }
    }
    None
}

/// Reads one line.
pub(super) fn decode<M: Message>(line: &[u8], most_depth: usize) -> Result<M, DecodeError> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(DecodeError::frame("command", "must be UTF-8"));
    };
    // Few brackets cannot nest deep; counting them is much cheaper than following them.
    let brackets = line.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    if brackets.count() > most_depth && depth(line) > most_depth {
        let problem = format!("must nest at most {most_depth} deep");
        return Err(DecodeError::of(id(text), "command".to_owned(), problem));
    }
    serde_json::from_str(text).map_err(|_| fault::<M>(text))
}

/// Reads the line again, slower, to learn which field is at fault.
#[cold]
fn fault<M: Message>(line: &str) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let (field, problem) = match serde_path_to_error::deserialize::<_, M>(&mut deserializer) {
        Ok(_) => (
            ".".to_owned(),
            "trailing characters after the message".to_owned(),
        ),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    };
    let field = if field == "." {
        "command".to_owned()
    } else {
        field
    };
    DecodeError::of(id(line), field, problem)
}

/// The id of a malformed command, or 0 if there is none to be had.
fn id(line: &str) -> u32 {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Id {
        id: u32,
    }
    serde_json::from_str::<Id>(line).map_or(0, |command| command.id)
}

/// Appends one line, or nothing.
pub(super) fn encode<M: Serialize>(message: &M, frame: &mut BytesMut) -> Result<(), EncodeError> {
    let start = frame.len();
    let written = serde_json::to_writer(frame.writer(), message);
    match written {
        Ok(()) => frame.put_u8(b'\n'),
        Err(error) => {
            frame.truncate(start);
            return Err(EncodeError(error.to_string()));
        }
    }
    Ok(())
}

/// A line that holds a push.
pub(super) fn encode_push(push: &Push) -> Result<Bytes, EncodeError> {
    #[derive(Serialize)]
    struct Reply<'a> {
        push: &'a Push,
    }
    let mut line = BytesMut::with_capacity(256);
    encode(&Reply { push }, &mut line)?;
    Ok(line.freeze())
}

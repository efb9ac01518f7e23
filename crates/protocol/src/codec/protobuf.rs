//! Protobuf: each message after its length.

use bytes::{Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use crate::codec::messages::Message;
use crate::codec::{DecodeError, EncodeError};
use crate::push::Push;

/// The tag of a push in a reply.
const PUSH: u32 = 4;

/// Takes the next message off the frame.
pub(super) fn split(frame: &mut Bytes) -> Option<Result<Bytes, DecodeError>> {
    if frame.is_empty() {
        return None;
    }
    let fault = |problem: String| Some(Err(DecodeError::frame("frame", problem)));
    let Ok(length) = decode_varint(frame) else {
        return fault("must begin with the length of a message".to_owned());
    };
    match usize::try_from(length) {
        Ok(length) if length <= frame.len() => Some(Ok(frame.split_to(length))),
        _ => fault(format!(
            "has {} bytes of a message of {length}",
            frame.len()
        )),
    }
}

/// Reads one message. Its data shares the frame's memory.
pub(super) fn decode<M: Message>(piece: Bytes) -> Result<M, DecodeError> {
    M::decode(piece.clone()).map_err(|error| fault(piece, &error))
}

/// Takes the field at fault out of prost's error, which names it in its text only, as in
/// `failed to decode Protobuf message: ConnectRequest.token: Command.method: invalid ...`.
#[cold]
fn fault(piece: Bytes, error: &prost::DecodeError) -> DecodeError {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Id {
        #[prost(uint32, tag = "1")]
        id: u32,
    }
    let id = <Id as prost::Message>::decode(piece).map_or(0, |command| command.id);
    let text = error.to_string();
    let parts: Vec<&str> = text.split(": ").skip(1).collect();
    let places = parts
        .iter()
        .take_while(|part| part.contains('.') && !part.contains(' '))
        .count();
    let field = if places == 0 { "command" } else { parts[0] };
    DecodeError::of(id, field.to_owned(), parts[places..].join(": "))
}

/// Appends one message.
#[expect(clippy::unnecessary_wraps, reason = "the other encoding can fail")]
pub(super) fn encode<M: prost::Message>(
    message: &M,
    frame: &mut BytesMut,
) -> Result<(), EncodeError> {
    let length = message.encoded_len();
    frame.reserve(length + encoded_len_varint(length as u64));
    encode_varint(length as u64, frame);
    message.encode_raw(frame);
    Ok(())
}

/// A message that holds a push.
#[expect(clippy::unnecessary_wraps, reason = "the other encoding can fail")]
pub(super) fn encode_push(push: &Push) -> Result<Bytes, EncodeError> {
    let length = prost::encoding::message::encoded_len(PUSH, push);
    let mut message = BytesMut::with_capacity(length + encoded_len_varint(length as u64));
    encode_varint(length as u64, &mut message);
    prost::encoding::message::encode(PUSH, push, &mut message);
    Ok(message.freeze())
}

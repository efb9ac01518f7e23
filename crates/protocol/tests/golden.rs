//! Frames written by the official Python SDK's schema (see `golden/generate.py`): both encodings
//! decode to the same messages, and encode to the same bytes.

use bytes::{Bytes, BytesMut};
use chinwag_protocol::codec::{Encoding, Limits};
use chinwag_protocol::command::Command;
use chinwag_protocol::reply::{Outcome, Reply};

const COMMANDS: (&[u8], &[u8]) = (
    include_bytes!("golden/commands.json"),
    include_bytes!("golden/commands.protobuf"),
);
const REPLIES: (&[u8], &[u8]) = (
    include_bytes!("golden/replies.json"),
    include_bytes!("golden/replies.protobuf"),
);

fn commands(encoding: Encoding, frame: &'static [u8]) -> Vec<Command> {
    encoding
        .decode_commands(&Bytes::from_static(frame), Limits::SERVER)
        .collect::<Result<_, _>>()
        .expect("golden frames are well-formed")
}

fn replies(encoding: Encoding, frame: &'static [u8]) -> Vec<Reply> {
    encoding
        .decode_replies(&Bytes::from_static(frame), Limits::CLIENT)
        .collect::<Result<_, _>>()
        .expect("golden frames are well-formed")
}

#[test]
fn commands_are_the_same_in_both_encodings() {
    let json = commands(Encoding::Json, COMMANDS.0);
    let protobuf = commands(Encoding::Protobuf, COMMANDS.1);
    assert_eq!(json.len(), 15);
    assert_eq!(json, protobuf);
    assert!(json[14].is_pong());
    assert!(json[13].method.is_none() && json[13].id == 12);
}

#[test]
fn commands_encode_to_the_golden_bytes() {
    for (encoding, golden) in [
        (Encoding::Json, COMMANDS.0),
        (Encoding::Protobuf, COMMANDS.1),
    ] {
        let mut frame = BytesMut::new();
        for command in commands(encoding, golden) {
            encoding.encode_command(&command, &mut frame).unwrap();
        }
        assert_eq!(frame.as_ref(), golden, "{encoding:?}");
    }
}

#[test]
fn replies_are_the_same_in_both_encodings() {
    let json = replies(Encoding::Json, REPLIES.0);
    let protobuf = replies(Encoding::Protobuf, REPLIES.1);
    assert_eq!(json.len(), 23);
    assert_eq!(json, protobuf);
    assert!(json[22].is_ping());
}

#[test]
fn replies_encode_to_the_golden_bytes() {
    for (encoding, golden) in [(Encoding::Json, REPLIES.0), (Encoding::Protobuf, REPLIES.1)] {
        let mut frame = BytesMut::new();
        for reply in replies(encoding, golden) {
            encoding.encode_reply(&reply, &mut frame).unwrap();
        }
        assert_eq!(frame.as_ref(), golden, "{encoding:?}");
    }
}

#[test]
fn a_push_encoded_alone_is_the_push_encoded_as_a_reply() {
    for (encoding, golden) in [(Encoding::Json, REPLIES.0), (Encoding::Protobuf, REPLIES.1)] {
        let mut pushes = 0;
        for reply in replies(encoding, golden) {
            let mut whole = BytesMut::new();
            encoding.encode_reply(&reply, &mut whole).unwrap();
            if let Some(Outcome::Push(push)) = &reply.outcome {
                assert_eq!(encoding.encode_push(push).unwrap(), whole);
                pushes += 1;
            }
            if reply.is_ping() {
                assert_eq!(encoding.ping(), whole);
            }
        }
        assert_eq!(pushes, 9);
    }
}

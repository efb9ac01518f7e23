//! Any bytes as Protobuf frames of both directions. What decodes encodes and decodes to itself,
//! and if it can be said in JSON it is one line there.

#![no_main]

use bytes::{Bytes, BytesMut};
use chinwag_protocol::codec::{Encoding, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let frame = Bytes::copy_from_slice(input);
    for command in Encoding::Protobuf
        .decode_commands(&frame, Limits::SERVER)
        .flatten()
    {
        let mut message = BytesMut::new();
        Encoding::Protobuf
            .encode_command(&command, &mut message)
            .expect("it is Protobuf");
        let message = message.freeze();
        let again = Encoding::Protobuf
            .decode_commands(&message, Limits::CLIENT)
            .next();
        assert_eq!(again, Some(Ok(command)));
    }
    for reply in Encoding::Protobuf
        .decode_replies(&frame, Limits::CLIENT)
        .flatten()
    {
        let mut line = BytesMut::new();
        if Encoding::Json.encode_reply(&reply, &mut line).is_ok() {
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        } else {
            assert!(line.is_empty());
        }
    }
});

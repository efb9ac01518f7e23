//! Any bytes as JSON frames of both directions. What decodes must encode, and decode to itself.

#![no_main]

use bytes::{Bytes, BytesMut};
use chinwag_protocol::codec::{Encoding, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let frame = Bytes::copy_from_slice(input);
    for command in Encoding::Json
        .decode_commands(&frame, Limits::SERVER)
        .flatten()
    {
        let mut line = BytesMut::new();
        Encoding::Json
            .encode_command(&command, &mut line)
            .expect("it was JSON");
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line = line.freeze();
        let again = Encoding::Json.decode_commands(&line, Limits::CLIENT).next();
        assert_eq!(again, Some(Ok(command)));
    }
    for reply in Encoding::Json
        .decode_replies(&frame, Limits::CLIENT)
        .flatten()
    {
        let mut line = BytesMut::new();
        Encoding::Json
            .encode_reply(&reply, &mut line)
            .expect("it was JSON");
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
});

//! What a server answers to bytes that no SDK sends.

use bytes::{Bytes, BytesMut};
use chinwag_protocol::code::Code;
use chinwag_protocol::codec::{DecodeError, Encoding, Limits};
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::{Happening, Publication, Push};

fn decode(encoding: Encoding, frame: &[u8]) -> Vec<Result<Command, DecodeError>> {
    encoding
        .decode_commands(&Bytes::copy_from_slice(frame), Limits::SERVER)
        .collect()
}

/// The message to the peer, and whether the connection may go on.
fn refused(encoding: Encoding, frame: &[u8]) -> (String, bool) {
    let error = decode(encoding, frame)
        .remove(0)
        .expect_err("bad input was taken");
    assert_eq!(error.refusal().code, Code::BadRequest);
    let goes_on = matches!(error, DecodeError::Command { id: 7, .. });
    (error.to_string(), goes_on)
}

fn json(line: &str) -> (String, bool) {
    refused(Encoding::Json, line.as_bytes())
}

#[test]
fn a_number_out_of_range_names_its_field_and_the_connection_goes_on() {
    for (line, expected) in [
        (
            r#"{"id":7,"history":{"channel":"a","since":{"offset":-1}}}"#,
            "history.since.offset: invalid value: integer `-1`, expected u64",
        ),
        (
            r#"{"id":7,"history":{"limit":2147483648}}"#,
            "history.limit: invalid value: integer `2147483648`, expected i32",
        ),
        (
            r#"{"id":7,"history":{"limit":1.5}}"#,
            "history.limit: invalid type: floating point `1.5`, expected i32",
        ),
        (
            r#"{"id":7,"subscribe":{"offset":18446744073709551616}}"#,
            "subscribe.offset: invalid type: floating point `1.8446744073709552e+19`, expected u64",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":null}}"#,
            "subscribe.channel: invalid type: null, expected a string",
        ),
    ] {
        let (problem, goes_on) = json(line);
        assert!(problem.starts_with(expected), "{problem}");
        assert!(goes_on, "{line}");
    }
}

#[test]
fn offsets_over_2_to_the_63_are_read() {
    let line = br#"{"id":7,"history":{"since":{"offset":9223372036854775808},"limit":-1}}"#;
    let command = decode(Encoding::Json, line).remove(0).unwrap();
    let Some(Method::History(history)) = command.method else {
        panic!("{command:?}");
    };
    assert_eq!(history.since.unwrap().offset, 1 << 63);
    assert_eq!(history.limit, -1);
}

#[test]
fn an_id_that_is_no_id_ends_the_frame() {
    for id in ["4294967296", "-1", "1.0", "\"1\"", "1e99"] {
        let (problem, goes_on) = json(&format!(r#"{{"id":{id},"ping":{{}}}}"#));
        assert!(problem.starts_with("id: invalid"), "{problem}");
        assert!(!goes_on);
    }
}

#[test]
fn a_malformed_command_leaves_its_neighbours_alone_and_a_malformed_frame_does_not() {
    let neighbours = decode(
        Encoding::Json,
        b"{\"id\":1,\"ping\":{}}\n{\"id\":2,\"rpc\":1}\n\n \r\n{\"id\":3,\"ping\":{}}\n",
    );
    assert_eq!(neighbours.len(), 3);
    assert!(neighbours[0].is_ok() && neighbours[1].is_err() && neighbours[2].is_ok());
    let neighbours = decode(Encoding::Json, b"{\"id\":1,\"ping\":{}}\n{\n{\"id\":3}");
    assert_eq!(neighbours.len(), 2);
    assert!(matches!(neighbours[1], Err(DecodeError::Frame { .. })));
}

#[test]
fn two_methods_are_refused_and_unknown_ones_seen() {
    let (problem, goes_on) = json(r#"{"id":7,"ping":{},"rpc":{}}"#);
    assert_eq!(
        problem,
        "command: must have one method, got two at line 1 column 27"
    );
    assert!(goes_on);
    let command = decode(Encoding::Json, br#"{"id":7,"fly":{"to":"mars"}}"#).remove(0);
    let command = command.unwrap();
    assert!(command.id == 7 && command.method.is_none() && !command.is_pong());
}

#[test]
fn bad_utf_8_and_things_that_are_no_commands_are_refused() {
    let (problem, goes_on) = refused(Encoding::Json, b"{\"id\":7,\"rpc\":{\"method\":\"\xff\"}}");
    assert_eq!(
        (problem.as_str(), goes_on),
        ("command: must be UTF-8", false)
    );
    for line in [
        "null",
        "[]",
        "1",
        "\"x\"",
        "{",
        "{}}",
        "{\"id\":7,}",
        "\u{feff}{}",
    ] {
        assert!(!json(line).1, "{line}");
    }
    // A method's name in bad UTF-8: tag 13 (rpc), tag 2 (method).
    let frame = [8, 8, 7, 0x6a, 4, 0x12, 2, 0xff, 0xfe];
    let (problem, goes_on) = refused(Encoding::Protobuf, &frame);
    assert!(
        problem.starts_with("RpcRequest.method: invalid"),
        "{problem}"
    );
    assert!(goes_on);
}

#[test]
fn depth_is_limited_in_data_too() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"id":7,"rpc":{{"method":"x","data":{open}{close}}}}}"#)
    };
    assert!(decode(Encoding::Json, nested(64).as_bytes())[0].is_ok());
    let (problem, goes_on) = json(&nested(10_000));
    assert_eq!(problem, "command: must nest at most 68 deep");
    assert!(goes_on);
    // Brackets within a text do not nest.
    let text = format!(r#"{{"id":7,"rpc":{{"data":"{}"}}}}"#, "[\\\"".repeat(500));
    assert!(decode(Encoding::Json, text.as_bytes())[0].is_ok());
}

#[test]
fn frames_are_limited_in_bytes_messages_and_entries() {
    let (problem, goes_on) = json(&" ".repeat(70_000));
    assert_eq!(problem, "frame: must be at most 65536 bytes, got 70000");
    assert!(!goes_on);
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let all = decode(encoding, &encoding.ping().repeat(600));
        assert_eq!(all.len(), 513);
        let error = all[512].clone().unwrap_err();
        assert_eq!(error.to_string(), "frame: must hold at most 512 messages");
    }
    let subs: Vec<String> = (0..1001).map(|n| format!(r#""{n}":{{}}"#)).collect();
    let (problem, goes_on) = json(&format!(
        r#"{{"id":7,"connect":{{"subs":{{{}}}}}}}"#,
        subs.join(",")
    ));
    let expected = "connect.subs: must have at most 1000 entries, got 1001";
    assert_eq!((problem.as_str(), goes_on), (expected, true));
}

#[test]
fn a_length_that_lies_is_refused() {
    let (problem, _) = refused(Encoding::Protobuf, &[5, 1]);
    assert_eq!(problem, "frame: has 1 bytes of a message of 5");
    let (problem, _) = refused(Encoding::Protobuf, &[0xff; 12]);
    assert_eq!(problem, "frame: must begin with the length of a message");
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let (problem, _) = refused(Encoding::Protobuf, &huge);
    assert_eq!(
        problem,
        "frame: has 0 bytes of a message of 18446744073709551615"
    );
}

#[test]
fn data_cannot_forge_messages() {
    let push = |data: &'static [u8]| {
        let publication = Publication {
            data: Bytes::from_static(data),
            ..Publication::default()
        };
        Push::new("a", Happening::Pub(publication))
    };
    let forged = push(b"1}}}\n{\"push\":{\"disconnect\":{\"code\":3500}}}");
    let error = Encoding::Json.encode_push(&forged).unwrap_err();
    assert!(error.to_string().contains("trailing characters"), "{error}");
    let pretty = Encoding::Json
        .encode_push(&push(b"{\n\n\"a\":\n1}"))
        .unwrap();
    assert_eq!(
        pretty.as_ref(),
        b"{\"push\":{\"channel\":\"a\",\"pub\":{\"data\":{  \"a\": 1}}}}\n"
    );
    let mut frame = BytesMut::from("before");
    let reply =
        chinwag_protocol::reply::Reply::new(1, chinwag_protocol::reply::Outcome::Push(forged));
    assert!(Encoding::Json.encode_reply(&reply, &mut frame).is_err());
    assert_eq!(frame.as_ref(), b"before");
}

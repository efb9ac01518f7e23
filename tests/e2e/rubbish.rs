//! Bad input of every kind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chinwag_client::connect::Options;
use chinwag_client::connection::{Connection, Pongs};
use chinwag_client::error::Error;
use chinwag_protocol::codec::Encoding;
use chinwag_tests::cluster::{Account, Cluster, call, register};
use chinwag_tests::process::Process;
use serde_json::{Value, json};

/// A gateway with short patience, and somebody who is about to misbehave.
fn start() -> (Cluster, Process, Account) {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.connect_timeout_ms", "1000")
        .with("gateway.handshake_timeout_ms", "1000")
        .with("gateway.ping_interval_ms", "2000")
        .with("gateway.commands_per_second", "0")
        .with("gateway.pong_timeout_ms", "1000")
        .with("gateway.subscriptions_per_connection", "1000");
    let gateway = cluster.start("gateway").unwrap();
    let account = register(&gateway, "mal").unwrap();
    (cluster, gateway, account)
}

async fn connected(gateway: &Process, account: &Account) -> Connection {
    Connection::connect(&Options::new(gateway.socket(), &account.token))
        .await
        .unwrap()
        .0
}

/// Sends one JSON command as it is; the error of its reply.
async fn error_of(connection: &mut Connection, command: &str) -> (u32, String) {
    connection
        .send_text(command.as_bytes().to_vec())
        .await
        .unwrap();
    match connection.reply(7).await.unwrap_err() {
        Error::Reply { code, message, .. } => (code, message),
        other => panic!("{command}: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_command_is_refused_by_name_and_the_next_one_works() {
    let (_cluster, gateway, account) = start();
    let mut connection = connected(&gateway, &account).await;
    let long = "x".repeat(129);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let table: Vec<(String, u32, &str)> = vec![
        (r#"{"id":7,"dance":{}}"#.into(), 104, "method"),
        (
            r#"{"id":7,"rpc":{"method":"room.paint","data":{}}}"#.into(),
            108,
            "no such method",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":5}}"#.into(),
            107,
            "channel",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":""}}"#.into(),
            107,
            "channel: must be 1 to 128",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":"a{b}"}}"#.into(),
            107,
            "channel: may contain",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":"a\u0000b"}}"#.into(),
            107,
            "channel: may contain",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":"a\r\nDEL x"}}"#.into(),
            107,
            "channel: may contain",
        ),
        (
            format!(r#"{{"id":7,"subscribe":{{"channel":"{long}"}}}}"#),
            107,
            "got 129",
        ),
        (
            r#"{"id":7,"subscribe":{"channel":"nowhere:x"}}"#.into(),
            102,
            "namespace",
        ),
        (
            r##"{"id":7,"subscribe":{"channel":"#root"}}"##.into(),
            103,
            "permission denied",
        ),
        (
            r#"{"id":7,"publish":{"channel":"lobby","data":{}}}"#.into(),
            103,
            "permission denied",
        ),
        (
            format!(r#"{{"id":7,"publish":{{"channel":"lobby","data":{deep}}}}}"#),
            107,
            "nest",
        ),
        (
            r#"{"id":7,"history":{"channel":"lobby","limit":99999999999}}"#.into(),
            107,
            "limit",
        ),
        (
            r#"{"id":7,"rpc":{"method":"message.send","data":{"room":7}}}"#.into(),
            107,
            "room",
        ),
        (
            r#"{"id":7,"rpc":{"method":"message.send","data":[]}}"#.into(),
            107,
            "",
        ),
        (
            r#"{"id":7,"rpc":{"method":"room.create","data":{"name":""}}}"#.into(),
            107,
            "name: must be 1 to 80",
        ),
        (
            r#"{"id":7,"rpc":{"method":"room.create","data":{"name":"a\u0007"}}}"#.into(),
            107,
            "control",
        ),
        (
            r#"{"id":7,"rpc":{"method":"room.create","data":{"name":"a","kind":"castle"}}}"#.into(),
            107,
            "kind",
        ),
        (
            r#"{"id":7,"rpc":{"method":"message.page","data":{"room":"room:x","limit":1000000}}}"#
                .into(),
            107,
            "limit",
        ),
        (
            r#"{"id":7,"rpc":{"method":"user.get","data":{"user":"{0}"}}}"#.into(),
            107,
            "user",
        ),
    ];
    for (command, code, words) in table {
        let (got, message) = error_of(&mut connection, &command).await;
        assert_eq!(got, code, "{command}: {message}");
        assert!(message.contains(words), "{command}: {message}");
    }
    connection
        .send_text(&br#"{"id":7,"subscribe":{"channel":"lobby"}}"#[..])
        .await
        .unwrap();
    connection.reply(7).await.unwrap();
    let history =
        r#"{"id":7,"history":{"channel":"lobby","since":{"offset":9223372036854775808}}}"#;
    assert!(
        error_of(&mut connection, history)
            .await
            .1
            .contains("offset")
    );
    let again = error_of(
        &mut connection,
        r#"{"id":7,"subscribe":{"channel":"lobby"}}"#,
    )
    .await;
    assert_eq!(again, (105, "already subscribed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_at_all_ends_the_connection_with_a_reason() {
    let (_cluster, gateway, account) = start();
    let mut bad_utf8 = br#"{"id":1,"rpc":{"method":""#.to_vec();
    bad_utf8.extend([0xff, 0xfe]);
    let table: Vec<(Vec<u8>, u16)> = vec![
        (b"hello".to_vec(), 3501),
        (b"[]".to_vec(), 3501),
        (b"{\"id\":-1}".to_vec(), 3501),
        (b"{\"id\":4294967296,\"ping\":{}}".to_vec(), 3501),
        (b"{\"id\":0,\"ping\":{}}".to_vec(), 3501),
        (b"{\"id\":9,\"connect\":{}}".to_vec(), 3501),
        (bad_utf8, 1007),
        (vec![b' '; 70_000], 1009),
    ];
    for (frame, code) in table {
        let mut connection = connected(&gateway, &account).await;
        let shown = String::from_utf8_lossy(&frame[..frame.len().min(40)]).into_owned();
        // A server that closes while we still write is what this is about.
        drop(connection.send_text(frame).await);
        let closed = connection.closed().await.unwrap();
        assert_eq!(closed.code, code, "{shown}: {closed:?}");
    }
    let options = Options {
        encoding: Encoding::Protobuf,
        ..Options::new(gateway.socket(), &account.token)
    };
    let mut connection = Connection::connect(&options).await.unwrap().0;
    drop(connection.send_binary(vec![0xff; 64]).await);
    assert_eq!(connection.closed().await.unwrap().code, 3501);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_ended_by_its_kind() {
    let (_cluster, gateway, account) = start();
    let options = Options::new(gateway.socket(), &account.token);
    let mut mute = Connection::open(&options).await.unwrap();
    assert_eq!(
        mute.closed().await.unwrap().code,
        3502,
        "it never said who it is"
    );
    let mut dead = connected(&gateway, &account).await;
    dead.answer_pings(Pongs::Never);
    assert_eq!(
        dead.closed().await.unwrap().code,
        3012,
        "it never answered a ping"
    );
    let mut early = Connection::open(&options).await.unwrap();
    early
        .send_text(&br#"{"id":1,"subscribe":{"channel":"lobby"}}"#[..])
        .await
        .unwrap();
    assert_eq!(
        early.closed().await.unwrap().code,
        3501,
        "it did not say who it is first"
    );
    let mut wrong = Connection::open(&Options::new(gateway.socket(), "no-token"))
        .await
        .unwrap();
    wrong
        .send_text(&br#"{"id":1,"connect":{"token":"rubbish"}}"#[..])
        .await
        .unwrap();
    assert_eq!(wrong.closed().await.unwrap().code, 3500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_subscriptions_are_had_and_no_more() {
    let (_cluster, gateway, account) = start();
    let mut connection = connected(&gateway, &account).await;
    // The personal channel is one of them.
    for number in 0..999 {
        let command = format!(r#"{{"id":7,"subscribe":{{"channel":"c{number}"}}}}"#);
        connection.send_text(command).await.unwrap();
        connection.reply(7).await.unwrap();
    }
    let (code, message) = error_of(
        &mut connection,
        r#"{"id":7,"subscribe":{"channel":"one-more"}}"#,
    )
    .await;
    assert_eq!(code, 106);
    assert!(message.contains("1000"), "{message}");
}

#[test]
fn http_rubbish_is_refused_by_field_and_changes_nothing() {
    let (_cluster, gateway, account) = start();
    let password = "correct horse";
    let users: Vec<(Value, u16, &str)> = vec![
        (json!({}), 400, "name"),
        (
            json!({ "name": "a", "password": password }),
            400,
            "name: must be 2 to 32",
        ),
        (
            json!({ "name": "a b", "password": password }),
            400,
            "name: may contain",
        ),
        (json!({ "name": "ann", "password": "x" }), 400, "password"),
        (json!({ "name": "mal", "password": password }), 409, "name"),
        (json!({ "name": 5, "password": password }), 400, "name"),
        (
            json!({ "name": "ann", "password": password, "display_name": "x".repeat(81) }),
            400,
            "display_name",
        ),
    ];
    for (body, status, words) in users {
        let (got, answer) = call(&gateway, "POST", "/v1/users", "", Some(&body)).unwrap();
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{body}: {answer}");
        assert!(message.contains(words), "{body}: {message}");
    }
    for (method, path, status) in [
        ("GET", "/v1/me", 401),
        ("GET", "/v1/nothing", 404),
        ("PATCH", "/v1/me", 405),
        ("GET", "/v1/rooms/room%3A%7B1%7D", 400),
    ] {
        let token = if status == 401 { "" } else { &account.token };
        let (got, answer) = call(&gateway, method, path, token, None).unwrap();
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert!(
            answer["error"]["message"].is_string(),
            "{method} {path}: {answer}"
        );
    }
    let wrong = json!({ "name": "mal", "password": "wrong horse" });
    let unknown = json!({ "name": "nobody", "password": "wrong horse" });
    let answer = |body| call(&gateway, "POST", "/v1/sessions", "", Some(body)).unwrap();
    assert_eq!(answer(&wrong), answer(&unknown));
    assert_eq!(answer(&wrong).0, 401);
}

#[test]
fn slow_and_broken_handshakes_are_cut() {
    let (_cluster, gateway, _account) = start();
    let address = gateway
        .public
        .as_deref()
        .unwrap()
        .trim_start_matches("http://")
        .to_owned();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // An end without an answer is an answer too.
        drop(stream.read_to_string(&mut answer));
        answer
    };
    let upgrade = "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let no_key = ask(&format!("{upgrade}Connection: close\r\n\r\n"));
    assert!(no_key.starts_with("HTTP/1.1 400"), "{no_key}");
    let origin = ask(&format!(
        "{upgrade}{key}Origin: https://evil.example\r\n\r\n"
    ));
    assert!(origin.starts_with("HTTP/1.1 403"), "{origin}");
    let protocol = ask(&format!(
        "{upgrade}{key}Sec-WebSocket-Protocol: soap\r\n\r\n"
    ));
    assert!(protocol.starts_with("HTTP/1.1 400"), "{protocol}");
    let rubbish = ask("\0\0\0\0\r\n\r\n");
    assert!(!rubbish.starts_with("HTTP/1.1 2"), "{rubbish}");
    // Half a request and then nothing: the handshake timeout ends it.
    let half = ask("GET / HTTP/1.1\r\nHost: ");
    assert!(!half.starts_with("HTTP/1.1 2"), "{half}");
}

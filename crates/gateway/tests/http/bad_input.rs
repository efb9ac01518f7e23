//! What is refused, and in which words.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Server};

const BAD: (u16, u32, &str) = (400, 107, "bad_request");

#[tokio::test]
async fn accounts() {
    let server = Server::start().await;
    let long = "x".repeat(129);
    for (account, message, field) in [
        (json!({}), "name: is missing", json!("name")),
        (
            json!({"name": "ann"}),
            "password: is missing",
            json!("password"),
        ),
        (
            json!({"name": 1, "password": PASSWORD}),
            "name: invalid type: integer `1`, expected a string",
            json!("name"),
        ),
        (
            json!({"name": "a", "password": PASSWORD}),
            "name: must be 2 to 32 bytes, got 1",
            json!("name"),
        ),
        (
            json!({"name": "a b", "password": PASSWORD}),
            "name: may contain letters, digits and _.- only; see byte 1",
            json!("name"),
        ),
        (
            json!({"name": "a{b}", "password": PASSWORD}),
            "name: may contain letters, digits and _.- only; see byte 1",
            json!("name"),
        ),
        (
            json!({"name": "ann", "password": "short"}),
            "password: must be 8 to 128 bytes, got 5",
            json!("password"),
        ),
        (
            json!({"name": "ann", "password": long}),
            "password: must be 8 to 128 bytes, got 129",
            json!("password"),
        ),
        (
            json!({"name": "ann", "password": PASSWORD, "display_name": ""}),
            "display_name: must be 1 to 80 characters, got 0",
            json!("display_name"),
        ),
        (
            json!({"name": "ann", "password": PASSWORD, "display_name": "a\u{7}b"}),
            "display_name: must not contain control characters",
            json!("display_name"),
        ),
        (
            json!({"name": "ann", "password": PASSWORD, "admin": true}),
            "unknown field `admin`, expected one of `name`, `display_name`, `password`",
            Value::Null,
        ),
        (
            json!("ann"),
            "invalid type: string \"ann\", expected struct Account",
            Value::Null,
        ),
    ] {
        let answer = server.ask("POST", "/v1/users").json(&account).await;
        answer.fails(BAD.0, BAD.1, BAD.2, message);
        assert_eq!(answer.json()["error"]["field"], field, "{account}");
    }
}

#[tokio::test]
async fn rooms_and_messages() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let crowd: Vec<String> = (0..101).map(|number| format!("user{number}")).collect();
    let deep: Value = (0..65).fold(json!(1), |inner, _| json!([inner]));
    let messages = format!("/v1/rooms/{id}/messages");
    for (path, body, message) in [
        (
            "/v1/rooms",
            json!({"name": ""}),
            "name: must be 1 to 80 characters, got 0",
        ),
        (
            "/v1/rooms",
            json!({"name": "x".repeat(81)}),
            "name: must be 1 to 80 characters, got 81",
        ),
        (
            "/v1/rooms",
            json!({"name": "x", "topic": "x".repeat(251)}),
            "topic: must be 0 to 250 characters, got 251",
        ),
        (
            "/v1/rooms",
            json!({"name": "x", "kind": "dm"}),
            "kind: unknown variant `dm`, expected `group` or `open`",
        ),
        (
            "/v1/rooms",
            json!({"name": "x", "members": crowd}),
            "members: must be at most 100, got 101",
        ),
        (
            "/v1/rooms",
            json!({"name": "x", "members": ["a b"]}),
            "members[0]: may contain letters, digits and _.- only; see byte 1",
        ),
        (&messages, json!({}), "body: is missing"),
        (
            &messages,
            json!({"body": deep}),
            "body: must nest at most 64 deep",
        ),
        (
            &messages,
            json!({"body": 1, "id": ""}),
            "id: must be 1 to 64 bytes, got 0",
        ),
        (
            &messages,
            json!({"body": 1, "id": "a b"}),
            "id: may contain letters, digits and _.:- only; see byte 1",
        ),
        (
            &messages,
            json!({"body": 1, "id": "x".repeat(65)}),
            "id: must be 1 to 64 bytes, got 65",
        ),
        (
            &messages,
            json!({"body": 1, "room": "lobby"}),
            "unknown field `room`, expected one of `id`, `body`, `ack`, `after`",
        ),
        (
            "/v1/rooms/a%7Bb%7D/messages",
            json!({"body": 1}),
            "room: may contain letters, digits and _.:#- only; see byte 1",
        ),
        (
            "/v1/rooms/a%0Ab/messages",
            json!({"body": 1}),
            "room: may contain letters, digits and _.:#- only; see byte 1",
        ),
        (
            "/v1/rooms/%ff/messages",
            json!({"body": 1}),
            "the path must be UTF-8",
        ),
        (
            &format!("/v1/rooms/{id}/read"),
            json!({"seq": 1u64 << 63}),
            "seq: must be 0 to 9007199254740991, got 9223372036854775808",
        ),
        (
            &format!("/v1/rooms/{id}/read"),
            json!({"seq": -1}),
            "seq: invalid value: integer `-1`, expected u64",
        ),
        (
            "/v1/direct/a%20b",
            json!({}),
            "user: may contain letters, digits and _.- only; see byte 1",
        ),
    ] {
        let answer = server.post(&ann, path, body).await;
        answer.fails(BAD.0, BAD.1, BAD.2, message);
    }
    let unknown = server
        .post(
            &ann,
            "/v1/rooms",
            json!({"name": "x", "members": ["nobody"]}),
        )
        .await;
    unknown.fails(404, 404, "not_found", "user nobody not found");
}

#[tokio::test]
async fn queries() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    for (path, message, field) in [
        (
            format!("/v1/rooms/{id}/messages?limit=0"),
            "limit: must be 1 to 200, got 0",
            json!("limit"),
        ),
        (
            format!("/v1/rooms/{id}/messages?limit=201"),
            "limit: must be 1 to 200, got 201",
            json!("limit"),
        ),
        (
            format!("/v1/rooms/{id}/messages?limit=x"),
            "limit: invalid digit found in string",
            json!("limit"),
        ),
        (
            format!("/v1/rooms/{id}/messages?before=0"),
            "before: must be 1 to 9007199254740991, got 0",
            json!("before"),
        ),
        (
            format!("/v1/rooms/{id}/messages?after=9223372036854775808"),
            "after: must be 0 to 9007199254740991, got 9223372036854775808",
            json!("after"),
        ),
        (
            format!("/v1/rooms/{id}/messages?before=5&after=1"),
            "only one of before, after and around may be given",
            Value::Null,
        ),
        (
            format!("/v1/rooms/{id}/messages?befor=5"),
            "unknown field `befor`, expected one of `before`, `after`, `around`, `limit`",
            Value::Null,
        ),
        (
            format!("/v1/rooms/{id}/members?limit=251"),
            "limit: must be 1 to 250, got 251",
            json!("limit"),
        ),
        (
            "/v1/rooms?scope=all".into(),
            "scope: unknown variant `all`, expected `mine` or `open`",
            json!("scope"),
        ),
        (
            "/v1/rooms?before=yesterday".into(),
            "before: must be the `next` of the page before",
            json!("before"),
        ),
    ] {
        let answer = server.get(&ann, &path).await;
        answer.fails(BAD.0, BAD.1, BAD.2, message);
        assert_eq!(answer.json()["error"]["field"], field, "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_none() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let path = format!("/v1/rooms/{id}/messages");
    let json = "application/json";
    for (kind, body, status, message) in [
        (
            json,
            b"{".to_vec(),
            400,
            "the request must be JSON: EOF while parsing an object at line 1 column 1",
        ),
        (json, b"{} {}".to_vec(), 400, "body: is missing"),
        (
            json,
            b"{\"body\":\"\xff\"}".to_vec(),
            400,
            "the request must be JSON: invalid unicode code point at line 1 column 10",
        ),
        (
            "text/plain",
            b"{\"body\":1}".to_vec(),
            415,
            "content-type: must be application/json",
        ),
        (
            "application/x-www-form-urlencoded",
            b"body=1".to_vec(),
            415,
            "content-type: must be application/json",
        ),
    ] {
        let ask = server
            .ask("POST", &path)
            .by(&ann)
            .header("content-type", kind);
        ask.body(body)
            .send()
            .await
            .fails(status, 107, "bad_request", message);
    }
    let ask = server
        .ask("POST", &path)
        .by(&ann)
        .header("content-type", json);
    let long = ask.body("x".repeat(65_537)).send().await;
    long.fails(
        413,
        413,
        "too_large",
        "the body must be at most 65536 bytes",
    );
    let long = server
        .post(&ann, &path, json!({"body": "x".repeat(32_767)}))
        .await;
    long.fails(
        413,
        413,
        "too_large",
        "body: must be at most 32768 bytes, got 32769",
    );
    server
        .post(&ann, &path, json!({"body": "x".repeat(32_766)}))
        .await
        .is(200);
}

#[tokio::test]
async fn resources_and_methods_that_are_none() {
    let server = Server::start().await;
    for path in [
        "/v1",
        "/v1/",
        "/v1/rooms/a/b/c",
        "/api",
        "/connection/sockjs",
        "/no.html",
    ] {
        let answer = server.ask("GET", path).send().await;
        answer.fails(404, 404, "not_found", "no such resource");
    }
    let message = "no such method on this resource";
    for (method, path, allow) in [
        ("DELETE", "/v1/users", "POST"),
        ("PATCH", "/v1/rooms", "GET,HEAD,POST"),
        ("GET", "/api/publish", "POST"),
    ] {
        let answer = server.ask(method, path).send().await;
        answer.fails(405, 104, "method_not_found", message);
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    let answer = server.ask("POST", "/").send().await;
    answer.fails(405, 104, "method_not_found", message);
}

//! Sending.

use serde_json::json;

use crate::support::{Server, said};

#[tokio::test]
async fn the_same_id_twice_is_one_message_and_one_answer() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server
        .room(&ann, json!({"name": "Tea", "members": ["bob"]}))
        .await;
    let path = format!("/v1/rooms/{id}/messages");
    let first = server
        .post(&ann, &path, json!({"id": "m-1", "body": {"text": "once"}}))
        .await
        .is(200);
    assert_eq!(first["id"], "m-1");
    assert_eq!((&first["seq"], &first["epoch"]), (&json!(4), &json!("1")));
    assert_eq!(
        (&first["durability"], &first["duplicate"]),
        (&json!("accepted"), &json!(false))
    );
    let again = server
        .post(&ann, &path, json!({"id": "m-1", "body": {"text": "twice"}}))
        .await
        .is(200);
    assert_eq!(again["duplicate"], true);
    for field in ["id", "seq", "epoch", "time"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    // An id is the sender's own: nobody can take it away from another.
    let other = server
        .post(&bob, &path, json!({"id": "m-1", "body": {"text": "mine"}}))
        .await
        .is(200);
    assert_eq!(
        (&other["seq"], &other["duplicate"]),
        (&json!(5), &json!(false))
    );
    let page = server.get(&bob, &path).await.is(200);
    assert_eq!(said(&page)[3..], ["once", "mine"]);
}

#[tokio::test]
async fn a_message_without_an_id_gets_one() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let path = format!("/v1/rooms/{id}/messages");
    let sent = server
        .post(&ann, &path, json!({"body": "hello"}))
        .await
        .is(200);
    let page = server.get(&ann, &path).await.is(200);
    let event = &page["events"][2];
    assert_eq!(
        (&event["id"], &event["body"]),
        (&sent["id"], &json!("hello"))
    );
    assert_eq!(
        (&event["user"], &event["time"]),
        (&json!("ann"), &sent["time"])
    );
}

#[tokio::test]
async fn a_body_is_kept_to_the_letter() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let path = format!("/v1/rooms/{id}/messages");
    let ask = server
        .ask("POST", &path)
        .by(&ann)
        .header("content-type", "application/json; charset=utf-8");
    ask.body(r#"{"body": {"z":1.0, "a":"上海 \u4e0a"}}"#)
        .send()
        .await
        .is(200);
    let page = server.get(&ann, &path).await;
    assert!(
        page.text.contains(r#""body":{"z":1.0, "a":"上海 \u4e0a"}"#),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn messages_go_on_after_redis_was_killed() {
    let mut server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let before = server.say(&ann, &id, "before").await;
    // The append-only file is synced once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    server.redis.restart().unwrap();
    let path = format!("/v1/rooms/{id}/messages");
    let after = server
        .post(&ann, &path, json!({"body": {"text": "after"}}))
        .await;
    let after = if after.status == 503 {
        server
            .post(&ann, &path, json!({"body": {"text": "after"}}))
            .await
    } else {
        after
    };
    let after = after.is(200);
    assert_eq!(
        (&after["seq"], &after["epoch"]),
        (&json!(before + 1), &json!("2"))
    );
    let page = server.get(&ann, &path).await.is(200);
    assert_eq!(said(&page)[2..], ["before", "after"]);
    assert_eq!(page["epoch"], "2");
}

#[tokio::test]
async fn channels_without_members_follow_their_namespace() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    server.say(&ann, "lobby", "hello").await;
    let page = server.get(&bob, "/v1/rooms/lobby/messages").await.is(200);
    assert_eq!(said(&page), ["hello"]);
    let room = server.get(&bob, "/v1/rooms/lobby").await.is(200)["room"].clone();
    assert_eq!(
        (&room["kind"], &room["seq"]),
        (&json!("channel"), &json!(1))
    );
    let empty = server.get(&bob, "/v1/rooms/unused/messages").await.is(200);
    assert_eq!(empty["events"], json!([]));
    for room in ["silent:x", "secret:x", "%23ann"] {
        let answer = server
            .post(
                &ann,
                &format!("/v1/rooms/{room}/messages"),
                json!({"body": 1}),
            )
            .await;
        answer.fails(
            403,
            103,
            "permission_denied",
            "this channel is not for writing",
        );
    }
    for room in ["silent:x", "secret:x"] {
        let answer = server
            .get(&ann, &format!("/v1/rooms/{room}/messages"))
            .await;
        let message = "the history of this channel is not for reading";
        answer.fails(403, 103, "permission_denied", message);
    }
    server.get(&ann, "/v1/rooms/%23ann/messages").await.is(200);
}

//! Direct rooms.

use serde_json::json;

use crate::support::{Server, each, said};

#[tokio::test]
async fn a_direct_room_is_there_for_its_two_before_it_begins() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let opened = server
        .ask("POST", "/v1/direct/bob")
        .by(&ann)
        .send()
        .await
        .is(200);
    let room = &opened["room"];
    assert_eq!(
        (&room["id"], &room["kind"]),
        (&json!("dm:ann:bob"), &json!("dm"))
    );
    assert_eq!(
        (&room["peer"]["id"], &room["members"]),
        (&json!("bob"), &json!(2))
    );
    assert_eq!((&room["seq"], &room["last"]), (&json!(0), &json!(null)));
    // Looking has begun nothing.
    assert_eq!(
        server.get(&ann, "/v1/rooms").await.is(200)["rooms"],
        json!([])
    );
    assert_eq!(
        server
            .backend
            .store
            .membership(
                &chinwag_protocol::id::RoomId::new("dm:ann:bob").unwrap(),
                &chinwag_protocol::id::UserId::new("ann").unwrap(),
            )
            .await
            .unwrap(),
        None
    );
    let seen = server.get(&bob, "/v1/rooms/dm:ann:bob").await.is(200);
    assert_eq!(seen["room"]["peer"]["id"], "ann");
    let page = server
        .get(&bob, "/v1/rooms/dm:ann:bob/messages")
        .await
        .is(200);
    let empty =
        json!({"events": [], "seq": 0, "epoch": "0", "has_before": false, "has_after": false});
    assert_eq!(page, empty);
    let members = server
        .get(&bob, "/v1/rooms/dm:ann:bob/members")
        .await
        .is(200);
    assert_eq!(members["members"].as_array().unwrap().len(), 2);
    let read = server
        .post(&bob, "/v1/rooms/dm:ann:bob/read", json!({"seq": 7}))
        .await
        .is(200);
    assert_eq!(read, json!({"seq": 0, "unread": 0}));
}

#[tokio::test]
async fn the_first_message_begins_it_for_both() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    server.say(&bob, "dm:ann:bob", "hello").await;
    for (who, peer, unread) in [(&ann, "bob", 1), (&bob, "ann", 0)] {
        let list = server.get(who, "/v1/rooms").await.is(200);
        assert_eq!(each(&list["rooms"], "id"), ["dm:ann:bob"]);
        let room = &list["rooms"][0];
        assert_eq!(
            (&room["peer"]["id"], &room["unread"]),
            (&json!(peer), &json!(unread))
        );
        assert_eq!(room["last"]["body"]["text"], "hello");
    }
    server.say(&ann, "dm:ann:bob", "hi").await;
    let page = server
        .get(&ann, "/v1/rooms/dm:ann:bob/messages")
        .await
        .is(200);
    assert_eq!(said(&page)[3..], ["hello", "hi"]);
    let opened = server
        .ask("POST", "/v1/direct/ann")
        .by(&bob)
        .send()
        .await
        .is(200);
    assert_eq!(opened["room"]["messages"], 2);
}

#[tokio::test]
async fn nobody_leaves_it_or_comes_in() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    server.person("bob").await;
    server.person("eve").await;
    server.say(&ann, "dm:ann:bob", "hello").await;
    let message = "the members of this kind of room do not change";
    let path = "/v1/rooms/dm:ann:bob/members";
    let left = server.delete(&ann, &format!("{path}/me")).await;
    left.fails(403, 103, "permission_denied", message);
    let invited = server.post(&ann, path, json!({"user": "eve"})).await;
    invited.fails(403, 103, "permission_denied", message);
}

#[tokio::test]
async fn it_takes_two_who_exist() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let alone = server.ask("POST", "/v1/direct/ann").by(&ann).send().await;
    alone.fails(400, 107, "bad_request", "user: must be somebody else");
    let nobody = server
        .ask("POST", "/v1/direct/nobody")
        .by(&ann)
        .send()
        .await;
    nobody.fails(404, 404, "not_found", "user nobody not found");
    let path = "/v1/rooms/dm:ann:nobody/messages";
    server
        .post(&ann, path, json!({"body": "hello?"}))
        .await
        .is(404);
    server.get(&ann, path).await.is(404);
    // The greater name first is no direct room at all.
    server.person("bob").await;
    let path = "/v1/rooms/dm:bob:ann/messages";
    server
        .post(&ann, path, json!({"body": "hello?"}))
        .await
        .is(404);
}

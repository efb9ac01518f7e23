//! The same verbs by name, as a socket calls them.

use futures_util::FutureExt;
use serde_json::json;

use crate::support::{Server, said};

#[tokio::test]
async fn a_conversation_by_methods() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let made = server
        .call(&ann, "room.create", json!({"name": "Tea", "kind": "open"}))
        .await
        .unwrap();
    let room = &made["room"]["id"];
    server
        .call(&bob, "room.join", json!({"room": room}))
        .await
        .unwrap();
    let body = json!({"text": "hello"});
    let sent = server
        .call(&bob, "message.send", json!({"room": room, "body": body}))
        .await
        .unwrap();
    let page = server
        .call(&ann, "message.page", json!({"room": room, "limit": 2}))
        .await
        .unwrap();
    assert_eq!(said(&page), ["member", "hello"]);
    let mark = json!({"room": room, "seq": sent["seq"]});
    let mark = server.call(&ann, "read.mark", mark).await.unwrap();
    assert_eq!(mark, json!({"seq": 4, "unread": 0}));
    let list = server.call(&ann, "room.list", json!({})).await.unwrap();
    assert_eq!(list["rooms"][0]["unread"], 0);
    let user = server
        .call(&ann, "user.get", json!({"user": "bob"}))
        .await
        .unwrap();
    assert_eq!(user["user"]["name"], "bob");
    let members = server
        .call(&ann, "room.members", json!({"room": room}))
        .await
        .unwrap();
    assert_eq!(members["members"][1]["role"], "member");
    let direct = server
        .call(&ann, "direct.open", json!({"user": "bob"}))
        .await
        .unwrap();
    assert_eq!(direct["room"]["id"], "dm:ann:bob");
    assert_eq!(
        server.call(&bob, "room.leave", json!({"room": room})).await,
        Ok(json!({}))
    );
}

#[tokio::test]
async fn what_is_refused_has_the_number_of_its_code() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    for (method, data, code, message) in [
        ("room.explode", json!({}), 108, "no such method"),
        ("", json!({}), 108, "no such method"),
        ("room.get", json!({}), 107, "room: is missing"),
        (
            "room.get",
            json!({"room": "room:missing"}),
            404,
            "room not found",
        ),
        (
            "message.send",
            json!({"room": "room:missing", "body": 1}),
            404,
            "room not found",
        ),
        (
            "room.list",
            json!({"limit": "9"}),
            107,
            "limit: invalid type: string \"9\", expected u32",
        ),
    ] {
        let refused = server.call(&ann, method, data).await;
        assert_eq!(refused, Err((code, message.to_owned())), "{method}");
    }
    let nobody = chinwag_gateway::token::Caller::anonymous();
    let refused =
        chinwag_gateway::verbs::call(&server.backend, &nobody, None, "room.list", b"").await;
    assert_eq!(refused.unwrap_err().code.number(), 101);
}

#[tokio::test]
async fn sends_take_their_places_at_the_first_poll() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "Tea"})).await;
    let caller = chinwag_gateway::token::authenticate(&server.backend, &ann.token)
        .await
        .unwrap();
    let requests: Vec<String> = (0..50)
        .map(|number| json!({"room": room, "body": {"text": number.to_string()}}).to_string())
        .collect();
    let mut calls = Vec::new();
    for request in &requests {
        let backend = &server.backend;
        let call = chinwag_gateway::verbs::call(
            backend,
            &caller,
            None,
            "message.send",
            request.as_bytes(),
        );
        let mut call = Box::pin(call);
        assert!(call.as_mut().now_or_never().is_none());
        calls.push(call);
    }
    // However late they are asked again, and in whichever order.
    calls.reverse();
    for call in calls {
        call.await.unwrap();
    }
    let page = server
        .call(&ann, "message.page", json!({"room": room}))
        .await
        .unwrap();
    let expected: Vec<String> = (0..48).map(|number| (number + 2).to_string()).collect();
    assert_eq!(said(&page)[2..], expected);
}

#[tokio::test]
async fn a_read_mark_is_told_to_the_users_other_sessions() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "Tea"})).await;
    let personal = chinwag_protocol::id::RoomId::new("#ann").unwrap();
    let mut listener = server.backend.store.listen(10).await.unwrap();
    listener.ear().join(&[personal]).await.unwrap();
    server
        .call(&ann, "read.mark", json!({"room": room, "seq": 1}))
        .await
        .unwrap();
    let Some(chinwag_store::channel::Heard::Room(_, payload)) = listener.heard.recv().await else {
        panic!("nothing was told");
    };
    let chinwag_store::channel::Signal::Data(told) =
        chinwag_store::channel::Signal::decode(&payload).unwrap()
    else {
        panic!("something else was told");
    };
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(
        told,
        json!({"type": "read", "room": room, "seq": 2, "unread": 0})
    );
}

//! Who asks for it is told how far rooms are archived: at once, on coming back, and on subscribing.

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_protocol::push::{Happening, Publication};
use chinwag_protocol::reply::Outcome;
use chinwag_tests::cluster::{Account, Cluster, register};
use chinwag_tests::process::Process;
use serde_json::{Value, json};

use crate::user::{PATIENCE, User};

/// A session that asks for marks, or not; and what the server says of itself.
async fn session(gateway: &Process, account: &Account, data: &Value) -> (Connection, Value) {
    let mut options = Options::new(gateway.socket(), &account.token);
    options.data = data.to_string().into();
    options.call_timeout = PATIENCE;
    let (connection, connected) = Connection::connect(&options).await.unwrap();
    (connection, serde_json::from_slice(&connected.data).unwrap())
}

/// The next publication in a room.
async fn publication(connection: &mut Connection, room: &str) -> (Publication, Value) {
    loop {
        let push = connection.push().await.unwrap();
        if let Some(Happening::Pub(publication)) = push.happening
            && push.channel == room
        {
            let data = serde_json::from_slice(&publication.data).unwrap();
            return (publication, data);
        }
    }
}

/// The next mark in a room, whatever else is said.
async fn mark(connection: &mut Connection, room: &str) -> Value {
    loop {
        let (publication, data) = publication(connection, room).await;
        if data["type"] == "archived" {
            assert_eq!((publication.offset, publication.info), (0, None));
            return data;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_how_far_rooms_are_archived() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let ann = User::join(&gateway, "ann").await;
    let bob = register(&gateway, "bob").unwrap();
    let room = ann.make_room("General", &["bob"]).await;
    let marks = json!({ "marks": true, "app": "mine" });
    let (mut asks, able) = session(&gateway, &bob, &marks).await;
    assert_eq!(able, json!({ "after": true, "marks": true }));
    let (mut silent, able) = session(&gateway, &bob, &json!({ "app": "mine" })).await;
    assert_eq!(able, json!({ "after": true }));

    let archiver = cluster.start("archiver").unwrap();
    let seq = ann.says(&room, "one").await;
    let told = loop {
        let told = mark(&mut asks, &room).await;
        if told["seq"].as_u64().unwrap() >= seq {
            break told;
        }
    };
    assert_eq!(told["epoch"], "1");

    // Nothing is archived from now on: what is told is what was known.
    drop(archiver);
    ann.says(&room, "two").await;
    let expected = json!({ "type": "archived", "seq": seq, "epoch": "1" });
    let (mut again, _) = session(&gateway, &bob, &marks).await;
    assert_eq!(mark(&mut again, &room).await, expected);
    // Also by a gateway that has never heard of the room.
    let other = cluster.start("gateway").unwrap();
    let (mut elsewhere, _) = session(&other, &bob, &marks).await;
    assert_eq!(mark(&mut elsewhere, &room).await, expected);

    // Who did not ask hears what is said, and nothing else.
    ann.says(&room, "three").await;
    for text in ["one", "two", "three"] {
        let (_, data) = publication(&mut silent, &room).await;
        assert_eq!(
            (&data["type"], &data["body"]["text"]),
            (&json!("message"), &json!(text))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_with_the_last_mark() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let archiver = cluster.start("archiver").unwrap();
    let ann = User::join(&gateway, "ann").await;
    let whole = chinwag_client::message::Message {
        room: "lobby".to_owned(),
        id: "m-1".to_owned(),
        body: "1".into(),
        ack: Some(chinwag_client::message::Level::Archived),
    };
    let sent = ann.client.send_whole(whole).await.unwrap();
    drop(archiver);
    let other = cluster.start("gateway").unwrap();
    let (mut bob, _) = session(&other, &ann.account, &json!({ "marks": true })).await;
    let subscribe = r#"{"id":7,"subscribe":{"channel":"lobby"}}"#;
    bob.send_text(subscribe).await.unwrap();
    let answer = bob.reply(7).await.unwrap();
    assert!(matches!(answer, Outcome::Subscribe(answer) if answer.offset == sent.seq));
    let expected = json!({ "type": "archived", "seq": sent.seq, "epoch": sent.epoch });
    assert_eq!(mark(&mut bob, "lobby").await, expected);
}

//! People write to each other.

use chinwag_client::notice::Notice;
use chinwag_client::request::Subscription;
use chinwag_tests::cluster::{Cluster, call, eventually, register};
use serde_json::json;

use crate::user::{PATIENCE, User};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_chat_over_two_gateways() {
    let cluster = Cluster::new().unwrap();
    let (one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let _workers = cluster.workers().unwrap();
    let (mut ann, mut bob) = (User::join(&one, "ann").await, User::join(&two, "bob").await);
    let room = ann.make_room("General", &["bob"]).await;
    ann.sees_room(&room).await;
    // Being invited makes the room appear on a live session.
    bob.sees_room(&room).await;
    ann.says(&room, "hello 你好").await;
    let heard = bob.hears(&room).await;
    assert_eq!(
        (heard.user.as_str(), heard.text.as_str()),
        ("ann", "hello 你好")
    );
    bob.says(&room, "hi").await;
    // Their own and the other's, in one order for both.
    let ann_heard = [ann.hears(&room).await, ann.hears(&room).await];
    assert_eq!(ann_heard[0], heard);
    assert_eq!(bob.hears(&room).await, ann_heard[1]);
    assert_eq!(ann.history(&room).await, bob.history(&room).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_conversation_is_one_room_and_appears_with_its_first_message() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let (ann, mut bob) = (
        User::join(&gateway, "ann").await,
        User::join(&gateway, "bob").await,
    );
    let by_ann = ann.call("direct.open", json!({ "user": "bob" })).await;
    let by_bob = bob.call("direct.open", json!({ "user": "ann" })).await;
    assert_eq!(by_ann["room"]["id"], by_bob["room"]["id"]);
    let room = by_ann["room"]["id"].as_str().unwrap();
    assert_eq!(bob.call("room.list", json!({})).await["rooms"], json!([]));
    ann.says(room, "psst").await;
    assert_eq!(bob.hears(room).await.text, "psst");
    let listed = bob.call("room.list", json!({})).await;
    assert_eq!(listed["rooms"][0]["id"], room);
    assert_eq!(listed["rooms"][0]["unread"], 1);
    assert_eq!(listed["rooms"][0]["peer"]["id"], "ann");
    assert_eq!(listed["rooms"][0]["last"]["body"]["text"], "psst");
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_is_what_was_said_since_and_reading_is_told_to_ones_other_sessions() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let account = register(&gateway, "bob").unwrap();
    let bob = User::connect(&gateway.socket(), account.clone()).await;
    let mut phone = User::connect(&gateway.socket(), account).await;
    let room = ann.make_room("General", &["bob"]).await;
    let mut last = 0;
    for text in ["one", "two", "three"] {
        last = ann.says(&room, text).await;
    }
    let seen = bob.call("room.get", json!({ "room": room })).await;
    assert_eq!(seen["room"]["unread"], 3);
    let marked = bob
        .call("read.mark", json!({ "room": room, "seq": last - 1 }))
        .await;
    assert_eq!(marked["unread"], 1);
    let back = bob
        .call("read.mark", json!({ "room": room, "seq": 1 }))
        .await;
    assert_eq!(back["unread"], 1, "a mark never goes back");
    loop {
        let (at, data) = phone.event().await;
        if at == "#bob" && data["type"] == "read" {
            assert_eq!(
                (&data["room"], &data["seq"]),
                (&json!(room), &json!(last - 1))
            );
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_neither_read_nor_write_nor_learn_that_a_room_exists() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let eve = User::join(&gateway, "eve").await;
    let room = ann.make_room("Secret", &[]).await;
    ann.says(&room, "nobody hears this").await;
    let missing = "room:aaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (method, argument) in [
        ("room.get", json!({})),
        ("room.join", json!({})),
        ("room.leave", json!({})),
        ("room.members", json!({})),
        ("room.invite", json!({ "user": "eve" })),
        ("message.page", json!({})),
        ("message.send", json!({ "body": "x" })),
        ("read.mark", json!({ "seq": 1 })),
    ] {
        let with = |room: &str| {
            let mut argument = argument.clone();
            argument["room"] = json!(room);
            argument
        };
        let refused = eve.refused(method, with(&room)).await;
        assert_eq!(
            refused,
            eve.refused(method, with(missing)).await,
            "{method}"
        );
        assert!(refused.contains("room not found"), "{method}: {refused}");
    }
    let subscribe = |room: &str| {
        eve.client
            .subscribe(room.to_owned(), Subscription::default())
    };
    let refused = subscribe(&room).await.unwrap_err().to_string();
    assert_eq!(refused, subscribe(missing).await.unwrap_err().to_string());
    assert!(refused.contains("permission denied"), "{refused}");
    let (status, _) = call(
        &gateway,
        "GET",
        &format!("/v1/rooms/{room}/messages"),
        &eve.account.token,
        None,
    )
    .unwrap();
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_out_or_leaves_hears_nothing_more() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let mut bob = User::join(&gateway, "bob").await;
    let room = ann.make_room("General", &["bob"]).await;
    bob.sees_room(&room).await;
    bob.call("room.leave", json!({ "room": room })).await;
    loop {
        if let Notice::Unsubscribed { room: left, .. } = bob.notice().await {
            assert_eq!(left.as_ref(), room);
            break;
        }
    }
    ann.says(&room, "he is gone").await;
    assert!(
        bob.refused("message.page", json!({ "room": room }))
            .await
            .contains("not found")
    );
    assert_eq!(bob.call("room.list", json!({})).await["rooms"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_gives_one_message_and_the_same_answer_through_any_gateway() {
    let cluster = Cluster::new().unwrap();
    let (one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let ann = User::join(&one, "ann").await;
    let room = ann.make_room("General", &[]).await;
    let send = json!({ "room": room, "id": "m-1", "body": { "text": "once" } });
    let first = ann.call("message.send", send.clone()).await;
    let path = format!("/v1/rooms/{room}/messages");
    let (status, again) = call(
        &two,
        "POST",
        &path,
        &ann.account.token,
        Some(&json!({ "id": "m-1", "body": "twice" })),
    )
    .unwrap();
    assert!(status < 300, "{status} {again}");
    for field in ["id", "seq", "epoch", "time"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    assert_eq!(ann.history(&room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_goes_from_the_ring_into_the_archive_without_a_seam() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.commands_per_second", "0");
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let room = ann.make_room("Long", &[]).await;
    let mut sent = Vec::new();
    for number in 0..600 {
        let text = format!("message {number}");
        sent.push((ann.says(&room, &text).await, text));
    }
    assert_eq!(ann.history(&room).await, sent);
    // The ring lets go of what is archived, and the pages are the same.
    let mut redis = cluster.redis.connection().unwrap();
    let ring = format!("history:*:{room}");
    let key: Vec<String> = redis::cmd("KEYS").arg(ring).query(&mut redis).unwrap();
    eventually("the ring is trimmed", PATIENCE, || {
        let account = &ann.account;
        let path = format!("/v1/rooms/{room}/messages");
        call(
            &gateway,
            "POST",
            &path,
            &account.token,
            Some(&json!({ "body": "more" })),
        )
        .ok()?;
        let length: u64 = redis::cmd("LLEN").arg(&key[0]).query(&mut redis).ok()?;
        (length < 300).then_some(())
    })
    .unwrap();
    let history = ann.history(&room).await;
    assert_eq!(history[..600], sent);
    let around = ann
        .call(
            "message.page",
            json!({ "room": room, "around": 300, "limit": 11 }),
        )
        .await;
    let seqs: Vec<u64> = around["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1) && seqs.contains(&300),
        "{seqs:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_connected_once_needs_no_archive_to_connect_again() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let ann = User::join(&gateway, "ann").await;
    let mut redis = cluster.redis.connection().unwrap();
    let known: Vec<String> = redis::cmd("KEYS")
        .arg("room:*:#ann")
        .query(&mut redis)
        .unwrap();
    assert_eq!(
        known.len(),
        1,
        "where the personal channel stands is in Redis"
    );
    drop(ann);
}

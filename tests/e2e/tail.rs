//! Redis dies and comes back without the last that it had acknowledged.

use std::time::Duration;

use chinwag_tests::cluster::{Cluster, register};

use crate::user::{PATIENCE, User};

/// The messages of a room once there are so many.
async fn all(user: &User, room: &str, count: usize) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let texts = user.history(room).await.into_iter().map(|(_, text)| text);
        let texts: Vec<String> = texts.collect();
        if texts.len() >= count || tokio::time::Instant::now() > deadline {
            return texts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_comes_again_before_what_is_new() {
    // A session that is not subscribed to the room learns of it only from the answer to what it
    // says next.
    let cluster = Cluster::new().unwrap();
    let mut cluster = cluster.with("gateway.rooms_on_connect", "0");
    let gateway = cluster.start("gateway").unwrap();
    let account = register(&gateway, "ann").unwrap();
    let ann = User::connect(&gateway.socket(), account.clone()).await;
    let room = ann.make_room("General", &[]).await;
    drop(ann);
    let ann = User::connect(&gateway.socket(), account).await;
    ann.says(&room, "one").await;
    ann.says(&room, "two").await;
    let written = cluster.redis.written().unwrap();
    let lost = ann.says(&room, "three").await;
    ann.says(&room, "four").await;
    cluster.redis.restart_with(written).unwrap();
    let five = ann.says(&room, "five").await;
    assert_eq!(five, lost + 2, "not where the lost ones were");
    let texts = all(&ann, &room, 5).await;
    assert_eq!(texts, ["one", "two", "three", "four", "five"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_keeps_the_order_over_one_lost_tail_after_the_other() {
    let mut cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _archiver = cluster.start("archiver").unwrap();
    let ann = User::join(&gateway, "ann").await;
    let room = ann.make_room("General", &[]).await;
    let texts: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let say = |text: &str| {
        let (client, room) = (ann.client.clone(), room.clone());
        let body = serde_json::json!({ "text": text });
        async move { client.send_message(&room, &body).await.unwrap() }
    };
    let mut sent = Vec::new();
    for some in texts.chunks(8) {
        for text in &some[..4] {
            sent.push(say(text).await);
        }
        let written = cluster.redis.written().unwrap();
        for text in &some[4..6] {
            sent.push(say(text).await);
        }
        // These are under way while it dies, or wait until it is back.
        let (one, other) = (say(&some[6]), say(&some[7]));
        let last = tokio::spawn(async move { tokio::join!(one, other) });
        cluster.redis.restart_with(written).unwrap();
        let last = last.await.unwrap();
        sent.extend([last.0, last.1]);
    }
    for sent in sent {
        let durable = tokio::time::timeout(PATIENCE * 2, sent.durable()).await;
        durable.expect("durable in time").unwrap();
    }
    assert_eq!(all(&ann, &room, texts.len()).await, texts);
}

//! Redis comes back without its tail, which was archived already.

use serde_json::json;

use crate::support::{Person, Server, said};

/// Takes a room out of Redis, as if the server had died before it came to the disk.
fn lose(server: &Server, pattern: &str) {
    let mut redis = server.redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut redis).unwrap();
    assert!(!keys.is_empty(), "{pattern}");
    redis::cmd("DEL")
        .arg(&keys)
        .query::<u64>(&mut redis)
        .unwrap();
}

async fn send(server: &Server, who: &Person, room: &str, id: &str) -> (u64, bool) {
    let path = format!("/v1/rooms/{room}/messages");
    let body = json!({"id": id, "body": {"text": id}});
    let mut sent = server.post(who, &path, body.clone()).await;
    while sent.status == 503 {
        sent = server.post(who, &path, body.clone()).await;
    }
    let sent = sent.is(200);
    (
        sent["seq"].as_u64().unwrap(),
        sent["duplicate"].as_bool().unwrap(),
    )
}

#[tokio::test]
async fn a_message_that_only_the_archive_has_is_not_written_twice() {
    let mut server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "General"})).await;
    let first = send(&server, &ann, &room, "m-1").await;
    let last = send(&server, &ann, &room, "m-2").await;
    server.archive_all().await;
    let mut redis = server.redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("room:*:{room}"))
        .query(&mut redis)
        .unwrap();
    redis::cmd("HSET")
        .arg(&keys[0])
        .arg(&["s", "3", "n", "1"])
        .query::<u64>(&mut redis)
        .unwrap();
    lose(&server, &format!("sent:*:{room}:*"));
    drop(redis);
    server.redis.restart().unwrap();
    assert_eq!(first.0, 3);
    assert_eq!(send(&server, &ann, &room, "m-2").await, (last.0, true));
    assert_eq!(send(&server, &ann, &room, "m-3").await, (last.0 + 1, false));
}

#[tokio::test]
async fn a_message_that_follows_one_that_was_lost_is_refused_until_that_one_is_back() {
    let mut server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "General"})).await;
    let path = format!("/v1/rooms/{room}/messages");
    send(&server, &ann, &room, "m-1").await;
    server.archive_all().await;
    send(&server, &ann, &room, "m-2").await;
    // All that it knew of the room's messages goes, of which the archive has the first.
    let mut redis = server.redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("room:*:{room}"))
        .query(&mut redis)
        .unwrap();
    redis::cmd("HSET")
        .arg(&keys[0])
        .arg(&["s", "2", "n", "0"])
        .query::<u64>(&mut redis)
        .unwrap();
    lose(&server, &format!("sent:*:{room}:*"));
    drop(redis);
    server.redis.restart().unwrap();
    let follows = async |id: &str, after: &str| {
        let body = json!({"id": id, "after": after, "body": {"text": id}});
        let mut sent = server.post(&ann, &path, body.clone()).await;
        while sent.status == 503 {
            sent = server.post(&ann, &path, body.clone()).await;
        }
        sent
    };
    let refused = follows("m-3", "m-2").await.is(409);
    assert_eq!(
        (&refused["error"]["slug"], &refused["error"]["field"]),
        (&json!("conflict"), &json!("after"))
    );
    follows("m-2", "m-1").await.is(200);
    follows("m-3", "m-2").await.is(200);
    let page = server.get(&ann, &path).await.is(200);
    let said = said(&page);
    let messages = said.iter().filter(|word| word.starts_with("m-"));
    assert_eq!(messages.collect::<Vec<_>>(), ["m-1", "m-2", "m-3"]);
    let itself = follows("m-4", "m-4").await.is(400);
    assert_eq!(itself["error"]["field"], "after");
}

#[tokio::test]
async fn a_direct_room_that_only_the_archive_has_goes_on_where_it_ended() {
    let mut server = Server::start().await;
    let (ann, _bob) = (server.person("ann").await, server.person("bob").await);
    let room = "dm:ann:bob";
    let first = send(&server, &ann, room, "m-1").await;
    server.archive_all().await;
    for key in ["room", "members", "history", "read", "sent"] {
        lose(&server, &format!("{key}:*:dm:ann:bob*"));
    }
    server.redis.restart().unwrap();
    assert_eq!(send(&server, &ann, room, "m-1").await, (first.0, true));
    let next = send(&server, &ann, room, "m-2").await;
    assert!(next.0 > first.0 && !next.1, "{next:?}");
    let page = server.get(&ann, "/v1/rooms/dm:ann:bob/messages").await;
    let said = said(&page.is(200));
    let messages = said.iter().filter(|word| word.starts_with("m-"));
    assert_eq!(messages.collect::<Vec<_>>(), ["m-1", "m-2"]);
}

//! How safe a message is before it is acknowledged, and what a Redis that lost all of it gets back.

use std::time::Duration;

use chinwag_gateway::token::{Caller, authenticate};
use chinwag_gateway::verbs;
use chinwag_protocol::id::RoomId;
use serde_json::{Value, json};

use crate::support::{Person, Server, config, each, said};

impl Server {
    async fn caller(&self, who: &Person) -> Caller {
        authenticate(&self.backend, &who.token).await.unwrap()
    }

    /// Calls a method for somebody who came before Redis forgot them.
    async fn call_by(&self, who: &Caller, method: &str, data: Value) -> Result<Value, String> {
        let data = data.to_string();
        let called = verbs::call(&self.backend, who, None, method, data.as_bytes()).await;
        let text = called.map_err(|refusal| refusal.message)?;
        Ok(serde_json::from_str(text.as_str()).unwrap())
    }

    fn redis(&self, words: &[&str]) -> redis::Value {
        let mut connection = self.redis.connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).unwrap()
    }

    fn take_out(&self, pattern: &str) {
        let mut connection = self.redis.connection().unwrap();
        let mut command = redis::cmd("KEYS");
        let keys: Vec<String> = command.arg(pattern).query(&mut connection).unwrap();
        assert!(!keys.is_empty(), "{pattern}");
        let mut command = redis::cmd("DEL");
        command.arg(&keys).query::<u64>(&mut connection).unwrap();
    }

    /// Archives again and again, as an archiver does.
    pub async fn archiving(&self) {
        loop {
            self.archive_all().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn impatient() -> Server {
    let mut config = config();
    config.ack_timeout = Duration::from_millis(300);
    Server::with(config).await
}

fn path(room: &str) -> String {
    format!("/v1/rooms/{room}/messages")
}

#[tokio::test]
async fn an_answer_names_the_level_that_was_reached() {
    let server = impatient().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "General"})).await;
    for wanted in ["accepted", "replicated", "archived"] {
        let body = json!({"id": wanted, "body": "hi", "ack": wanted});
        let sent = server.post(&ann, &path(&room), body).await.is(200);
        assert_eq!(sent["durability"], "accepted", "nobody archives: {sent}");
    }
    server.archive_all().await;
    let again = json!({"id": "accepted", "body": "hi"});
    let again = server.post(&ann, &path(&room), again).await.is(200);
    let expected = json!([true, "archived"]);
    assert_eq!(json!([again["duplicate"], again["durability"]]), expected);
}

#[tokio::test]
async fn who_asks_for_it_is_answered_when_the_archive_has_it_though_no_mark_is_heard() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "General"})).await;
    let body = json!({"id": "m-1", "body": "hi", "ack": "archived"});
    let path = path(&room);
    let sent = tokio::select! {
        sent = server.post(&ann, &path, body) => sent.is(200),
        () = server.archiving() => Value::Null,
    };
    assert_eq!(sent["durability"], "archived");
}

#[tokio::test]
async fn a_room_has_a_level_of_its_own() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let new = json!({"name": "Safe", "ack": "archived"});
    let room = server.room(&ann, new).await;
    let view = server.get(&ann, &format!("/v1/rooms/{room}")).await.is(200);
    assert_eq!(view["room"]["ack"], "archived");
    let path = path(&room);
    let sent = tokio::select! {
        sent = server.post(&ann, &path, json!({"body": "hi"})) => sent.is(200),
        () = server.archiving() => Value::Null,
    };
    assert_eq!(sent["durability"], "archived");
    let hasty = json!({"body": "hi", "ack": "accepted"});
    let sent = server.post(&ann, &path, hasty).await.is(200);
    assert_eq!(sent["durability"], "accepted");
    let wrong = json!({"body": "hi", "ack": "fast"});
    let message = "ack: must be accepted, replicated or archived, got \"fast\"";
    let answer = server.post(&ann, &path, wrong).await;
    answer.fails(400, 107, "bad_request", message);
    assert_eq!(answer.json()["error"]["field"], "ack");
    let wrong = json!({"name": "x", "ack": 7});
    let answer = server.post(&ann, "/v1/rooms", wrong).await;
    assert_eq!(answer.is(400)["error"]["field"], "ack");
}

/// Redis loses everything while somebody waits: the gateway sends it again, and the room is back
/// with all that the archive knows of it.
#[tokio::test]
async fn a_redis_that_was_emptied_gets_back_what_the_archive_has() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let new = json!({"name": "Tea", "topic": "Hot", "kind": "open", "members": ["bob"], "ack": "accepted"});
    let room = server.room(&ann, new).await;
    let first = server.say(&ann, &room, "one").await;
    server.archive_all().await;
    let (ann, bob) = (server.caller(&ann).await, server.caller(&bob).await);
    let ids = [RoomId::new(&room).unwrap()];
    let before = server.backend.store.positions(&ids);
    let before = before.await.unwrap()[0].unwrap();

    let body = json!({"room": room, "id": "m-2", "body": {"text": "two"}, "ack": "archived"});
    let waits = server.call_by(&ann, "message.send", body);
    let empties = async {
        while !server.has(&room, first + 1).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.redis(&["FLUSHALL"]);
        // The functions are not data; nor is the count of partitions anything that is archived.
        server.archiving().await;
    };
    let sent = tokio::select! {
        sent = waits => sent.unwrap(),
        () = empties => Value::Null,
    };
    assert_eq!(sent["durability"], "archived");
    let epoch: u64 = sent["epoch"].as_str().unwrap().parse().unwrap();
    assert!(epoch > before.epoch, "{sent} after {before:?}");
    assert_eq!(sent["seq"], first + 1);

    let view = server.call_by(&bob, "room.get", json!({"room": room}));
    let view = view.await.unwrap()["room"].clone();
    let shown =
        ["name", "topic", "kind", "members", "role", "ack"].map(|field| view[field].clone());
    let expected = json!(["Tea", "Hot", "open", 2, "member", "accepted"]);
    assert_eq!(json!(shown), expected);
    for who in [&ann, &bob] {
        let mine = server.call_by(who, "room.list", json!({})).await.unwrap();
        assert_eq!(each(&mine["rooms"], "id"), [json!(room)]);
    }
    let open = json!({"scope": "open"});
    let open = server.call_by(&bob, "room.list", open).await.unwrap();
    assert_eq!(each(&open["rooms"], "id"), [json!(room)]);
    let page = server.call_by(&bob, "message.page", json!({"room": room}));
    let said = said(&page.await.unwrap());
    assert_eq!(said.last().unwrap(), "two");
    assert_eq!(said.iter().filter(|word| *word == "two").count(), 1);
}

impl Server {
    async fn has(&self, room: &str, seq: u64) -> bool {
        let room = RoomId::new(room).unwrap();
        let positions = self.backend.store.positions(&[room]).await.unwrap();
        positions[0].is_some_and(|position| position.seq >= seq)
    }
}

/// However late it is sent again, and whatever Redis remembers: the first answer.
#[tokio::test]
async fn an_id_has_no_age_at_which_it_is_forgotten() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "General"})).await;
    let now = server.backend.store.now();
    let id = |time: u64| {
        let (high, low) = (time >> 16, time & 0xffff);
        format!("{high:08x}-{low:04x}-7000-8000-000000000000")
    };
    let (old, new, future) = (id(now - 2 * 86_400_000), id(now), id(now + 600_000));
    let mut first = Vec::new();
    for id in [old.as_str(), "no time", "m-1", &new] {
        let id = id.replace(' ', "-");
        let body = json!({"id": id, "body": "hi"});
        let sent = server.post(&ann, &path(&room), body.clone()).await.is(200);
        assert_eq!(sent["duplicate"], false);
        first.push((body, sent["seq"].clone()));
    }
    server.archive_all().await;
    server.take_out(&format!("sent:*:{room}:*"));
    // The room was made long ago.
    let mut connection = server.redis.connection().unwrap();
    let mut command = redis::cmd("KEYS");
    let keys: Vec<String> = command
        .arg(format!("room:*:{room}"))
        .query(&mut connection)
        .unwrap();
    server.redis(&["HDEL", &keys[0], "b"]);
    first.pop();
    for (body, seq) in first {
        let again = server.post(&ann, &path(&room), body).await.is(200);
        let got = json!([again["duplicate"], again["seq"], again["durability"]]);
        assert_eq!(got, json!([true, seq, "archived"]));
    }
    let body = json!({"id": future, "body": "hi"});
    let message = "id: the time in it must be at most 5 minutes ahead of the server's";
    let answer = server.post(&ann, &path(&room), body).await;
    answer.fails(400, 107, "bad_request", message);
    assert_eq!(answer.json()["error"]["field"], "id");
}

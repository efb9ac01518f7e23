//! Redis is full, or cannot write to its disk: who writes is told so, who reads goes on reading, and
//! when there is room again everything goes on by itself.

use std::time::Duration;

use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::http;
use chinwag_tests::process::Process;
use chinwag_tests::raw::Raw;
use serde_json::{Value, json};

use crate::user::PATIENCE;

fn configure(cluster: &Cluster, key: &str, value: &str) {
    let mut redis = cluster.redis.connection().unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg(key).arg(value);
    set.query::<()>(&mut redis).unwrap();
}

fn rows(archiver: &Process) -> Option<u64> {
    let metrics = http::text(&format!("{}/metrics", archiver.admin)).ok()?.1;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("chinwag_archive_rows_total "))?;
    line.trim().parse().ok()
}

/// A room of ann's at a gateway, and what can be done in it.
struct Room<'p> {
    gateway: &'p Process,
    token: String,
    path: String,
    id: Value,
}

impl<'p> Room<'p> {
    fn new(gateway: &'p Process) -> Self {
        let token = register(gateway, "ann").unwrap().token;
        let new = json!({ "name": "Tea", "kind": "open" });
        let (_, made) = call(gateway, "POST", "/v1/rooms", &token, Some(&new)).unwrap();
        let id = made["room"]["id"].clone();
        let path = format!("/v1/rooms/{}", id.as_str().unwrap());
        Self {
            gateway,
            token,
            path,
            id,
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> http::Answer {
        let path = format!("{}{path}", self.path);
        call(self.gateway, method, &path, &self.token, body).unwrap()
    }

    fn say(&self, id: &str) -> http::Answer {
        let body = json!({ "id": id, "body": { "text": "x".repeat(500) } });
        self.ask("POST", "/messages", Some(&body))
    }

    /// Everything but sending: a page, a read mark, a new session, and what it says on sending.
    fn lives_on(&self, refusal: &str) {
        let (status, page) = self.ask("GET", "/messages", None);
        assert_eq!(status, 200, "{page}");
        assert!(page["events"].as_array().unwrap().len() >= 10, "{page}");
        let mut raw = Raw::connect(self.gateway, &self.token).unwrap();
        let body = json!({ "room": self.id, "id": "socket", "body": "x" });
        raw.say(&json!({ "id": 2, "rpc": { "method": "message.send", "data": body } }))
            .unwrap();
        let answer = raw.answer(2).unwrap();
        assert_eq!(answer["error"]["code"], 100, "{answer}");
        assert_eq!(answer["error"]["temporary"], true, "{answer}");
        assert_eq!(answer["error"]["message"], refusal, "{answer}");
    }
}

#[test]
fn a_full_redis_refuses_messages_and_nothing_else() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let workers = cluster.workers().unwrap();
    let room = Room::new(&gateway);
    for number in 0..10 {
        assert_eq!(room.say(&format!("m{number}")).0, 200);
    }
    configure(&cluster, "maxmemory", "1mb");
    let (status, answer) = room.say("refused");
    assert_eq!(status, 503, "{answer}");
    assert_eq!(
        answer["error"]["message"],
        "the store is full; try again later"
    );
    room.lives_on("the store is full; try again later");
    let (status, mark) = room.ask("POST", "/read", Some(&json!({ "seq": 5 })));
    assert_eq!(status, 200, "{mark}");
    // What was said before is archived all the same: 2 events of the room, 10 messages.
    let archiver = workers.last().unwrap();
    eventually("archived", PATIENCE, || {
        (rows(archiver)? >= 12).then_some(())
    })
    .unwrap();
    configure(&cluster, "maxmemory", "0");
    assert_eq!(room.say("refused").0, 200, "at once, and by itself");
    eventually("archived", PATIENCE, || {
        (rows(archiver)? >= 13).then_some(())
    })
    .unwrap();
}

#[test]
fn a_redis_that_cannot_write_to_its_disk_is_waited_for() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let workers = cluster.workers().unwrap();
    let room = Room::new(&gateway);
    for number in 0..10 {
        assert_eq!(room.say(&format!("m{number}")).0, 200);
    }
    // Where the snapshot should go is a folder, so that saving it fails.
    let obstacle = cluster.redis.folder().join("dump.rdb");
    std::fs::create_dir_all(obstacle.join("full")).unwrap();
    configure(&cluster, "save", "3600 1");
    let mut redis = cluster.redis.connection().unwrap();
    let save = |redis: &mut redis::Connection| redis::cmd("BGSAVE").query::<String>(redis);
    eventually("a failure", PATIENCE, || {
        drop(save(&mut redis));
        (room.say("refused").0 == 503).then_some(())
    })
    .unwrap();
    let (_, answer) = room.say("refused");
    let words = "the store cannot write to its disk; try again later";
    assert_eq!(answer["error"]["message"], words);
    let (status, page) = room.ask("GET", "/messages", None);
    assert_eq!(status, 200, "{page}");
    std::fs::remove_dir_all(&obstacle).unwrap();
    let began = std::time::Instant::now();
    eventually("recovery", PATIENCE, || {
        drop(save(&mut redis));
        (room.say("refused").0 == 200).then_some(())
    })
    .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let archiver = workers.last().unwrap();
    eventually("archived", PATIENCE, || {
        (rows(archiver)? >= 13).then_some(())
    })
    .unwrap();
}

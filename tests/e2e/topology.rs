//! People chat through two gateways, with all workers, on each way to arrange Redis servers; and go
//! on when servers die or give their slots away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, call, eventually};
use chinwag_tests::process::Process;
use chinwag_tests::redis_cluster::RedisCluster;
use chinwag_tests::redis_sentinel::Sentinels;
use chinwag_tests::redis_server::Server;
use serde_json::json;

use crate::user::{PATIENCE, User};

/// What may pass between two acknowledged messages while a primary is replaced.
const OUTAGE: Duration = Duration::from_secs(12);

/// Two gateways with ann at one and bob at the other, and all workers.
struct Stage {
    cluster: Cluster,
    gateways: [Process; 2],
    _workers: Vec<Process>,
    ann: User,
    bob: User,
}

impl Stage {
    async fn on(url: &str) -> Self {
        let cluster = Cluster::over(url).unwrap();
        let gateways = [(); 2].map(|()| cluster.start("gateway").unwrap());
        let workers = cluster.workers().unwrap();
        let ann = User::join(&gateways[0], "ann").await;
        let bob = User::join(&gateways[1], "bob").await;
        Self {
            cluster,
            gateways,
            _workers: workers,
            ann,
            bob,
        }
    }

    async fn room(&mut self, name: &str) -> String {
        let room = self.ann.make_room(name, &["bob"]).await;
        self.ann.sees_room(&room).await;
        self.bob.sees_room(&room).await;
        room
    }

    /// Both say something and hear each other.
    async fn exchange(&mut self, room: &str, text: &str) {
        self.ann.says(room, &format!("{text} by ann")).await;
        self.bob.says(room, &format!("{text} by bob")).await;
        for user in [&mut self.ann, &mut self.bob] {
            for who in ["ann", "bob"] {
                assert_eq!(user.hears(room).await.text, format!("{text} by {who}"));
            }
        }
    }

    fn is_online(&self, name: &str) -> Option<bool> {
        let path = format!("/v1/users/{name}");
        let answer = call(
            &self.gateways[0],
            "GET",
            &path,
            &self.ann.account.token,
            None,
        );
        answer.ok()?.1["user"]["online"].as_bool()
    }

    /// Waits until the archive has so many messages of a room, each once.
    fn archived(&self, room: &str, messages: usize) {
        let path = self
            .cluster
            .archive()
            .trim_start_matches("sqlite:")
            .to_owned();
        let expected = format!("{messages} {messages}");
        eventually("all is archived once", PATIENCE, || {
            let arguments = ["-c", COUNT, &path, room];
            let count = std::process::Command::new("python3")
                .args(arguments)
                .output();
            let count = String::from_utf8(count.ok()?.stdout).ok()?;
            (count.trim() == expected).then_some(())
        })
        .unwrap();
    }

    /// Ann says things without a pause until `done` says so; what was said, and the longest time
    /// between two acknowledgements.
    async fn talk(&self, room: &str, mut done: impl FnMut(usize) -> bool) -> (usize, Duration) {
        let (mut said, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
        while !done(said) {
            let (id, text) = (
                format!("talk-{said}"),
                json!({ "text": format!("talk {said}") }),
            );
            let send = self.ann.client.send_message_as(id.as_str(), room, &text);
            match send.await {
                Ok(_) => {
                    said += 1;
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            assert!(
                last.elapsed() < PATIENCE,
                "nothing is acknowledged any more"
            );
        }
        (said, longest)
    }

    /// Waits until bob's history has everything that was talked, each once, in order.
    async fn all_is_there(&self, room: &str, said: usize) {
        let expected: Vec<String> = (0..said).map(|number| format!("talk {number}")).collect();
        let began = Instant::now();
        loop {
            let history = self.bob.history(room).await;
            let mut talk: Vec<String> = history
                .into_iter()
                .map(|(_, text)| text)
                .filter(|text| text.starts_with("talk"))
                .collect();
            // What a failover took back was sent again, after what came meanwhile.
            talk.sort_by_key(|text| text[5..].parse::<usize>().unwrap());
            if talk == expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{} of {said}", talk.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Counts messages and distinct ids as anybody could, who has the file.
const COUNT: &str = "
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    \"select count(*), count(distinct message_id) from events where room = ? and kind = 'message'\",
    (sys.argv[2],)).fetchone()
print(*rows)
";

/// What must work anywhere.
async fn people_chat(stage: &mut Stage) -> String {
    let room = stage.room("General").await;
    for text in ["one", "two", "three"] {
        stage.exchange(&room, text).await;
    }
    stage.archived(&room, 6);
    eventually("bob is online", PATIENCE, || {
        stage.is_online("bob").filter(|online| *online)
    })
    .unwrap();
    let eve = User::join(&stage.gateways[1], "eve").await;
    eventually("eve is online", PATIENCE, || {
        stage.is_online("eve").filter(|online| *online)
    })
    .unwrap();
    drop(eve);
    eventually("eve is offline", PATIENCE, || {
        stage.is_online("eve").filter(|online| !online)
    })
    .unwrap();
    room
}

/// Which of the servers has a room.
fn holder(servers: &[Server], room: &str) -> Option<usize> {
    let pattern = format!("history:*:{room}");
    servers.iter().position(|server| {
        let is_primary = server.info("role").is_ok_and(|role| role == "master");
        let keys: Vec<String> = server.ask(&["KEYS", &pattern]).unwrap_or_default();
        is_primary && !keys.is_empty()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_outlives_the_primary_that_sentinels_watch() {
    let mut redis = Sentinels::start(Duration::from_secs(2)).unwrap();
    let mut stage = Stage::on(&redis.url()).await;
    let room = people_chat(&mut stage).await;
    let primary = redis.primary().unwrap();
    let (said, outage) = stage
        .talk(&room, |said| {
            if said == 50 {
                redis.servers[primary].kill();
            }
            said == 150
        })
        .await;
    println!("longest time without an acknowledgement: {outage:?}");
    assert!(outage < OUTAGE, "{outage:?}");
    assert_ne!(redis.primary().unwrap(), primary);
    stage.all_is_there(&room, said).await;
    let next = stage.room("Next").await;
    stage.exchange(&next, "after").await;
    stage.archived(&next, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_outlives_a_moved_slot_and_a_dead_primary_of_a_cluster() {
    let mut redis = RedisCluster::start().unwrap();
    let mut stage = Stage::on(&redis.url()).await;
    let room = people_chat(&mut stage).await;
    let from = holder(&redis.servers, &room).unwrap();
    let keys: Vec<String> = redis.servers[from]
        .ask(&["KEYS", &format!("*:{room}")])
        .unwrap();
    let slot = redis.slot(&keys[0]).unwrap();
    let mut to = from;
    let (said, longest) = stage
        .talk(&room, |said| {
            if said == 50 {
                let primaries =
                    (0..6).filter(|at| redis.servers[*at].info("role").unwrap() == "master");
                to = primaries.into_iter().find(|at| *at != from).unwrap();
                redis.move_slot(slot, from, to).unwrap();
            }
            if said == 100 {
                redis.servers[to].kill();
            }
            said == 200
        })
        .await;
    println!("longest time without an acknowledgement: {longest:?}");
    assert!(longest < OUTAGE, "{longest:?}");
    stage.all_is_there(&room, said).await;
    let next = stage.room("Next").await;
    stage.exchange(&next, "after").await;
    stage.archived(&next, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_elsewhere_never_notice_that_a_server_of_a_map_is_gone() {
    let mut servers: Vec<Server> = (0..3).map(|_| Server::start(&[]).unwrap()).collect();
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let mut stage = Stage::on(&format!("redis://{}", addresses.join(","))).await;
    people_chat(&mut stage).await;
    // Of every server a room; the first is home, which everybody needs.
    let mut rooms = BTreeMap::new();
    while rooms.len() < 3 {
        let room = stage.room("Somewhere").await;
        rooms.insert(holder(&servers, &room).unwrap(), room);
    }
    for dies in [1, 2] {
        servers[dies].kill();
        let began = Instant::now();
        for number in 0..20 {
            stage
                .exchange(&rooms[&(3 - dies)], &format!("{dies} {number}"))
                .await;
            stage
                .exchange(&rooms[&0], &format!("{dies} {number}"))
                .await;
        }
        println!("80 messages in {:?}", began.elapsed());
        assert!(began.elapsed() < OUTAGE, "{:?}", began.elapsed());
        servers[dies].restart().unwrap();
        let (room, client) = (rooms[&dies].as_str(), &stage.ann.client);
        let began = Instant::now();
        let body = json!({ "text": "it is back" });
        while client
            .send_message_as(format!("back-{dies}").as_str(), room, &body)
            .await
            .is_err()
        {
            assert!(began.elapsed() < OUTAGE);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(stage.bob.hears(room).await.text, "it is back");
        assert_eq!(stage.ann.hears(room).await.text, "it is back");
    }
}

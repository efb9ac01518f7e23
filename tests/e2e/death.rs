//! Any process is killed with -9 in the middle of a conversation, and the conversation goes on,
//! complete.

use std::time::Duration;

use chinwag_client::client::Client;
use chinwag_client::connect::Options;
use chinwag_tests::cluster::{Account, Cluster, eventually, register};
use chinwag_tests::process::Process;
use chinwag_tests::proxy::Proxy;
use serde_json::json;

use crate::user::{PATIENCE, User};

const MESSAGES: usize = 300;

/// Says `MESSAGES` things, one after the other, whatever happens to the connection.
async fn talks(url: String, account: Account, room: String) -> Vec<u64> {
    let (client, mut notices) = Client::connect(Options::new(url, account.token))
        .await
        .unwrap();
    let drain = tokio::spawn(async move { while notices.next().await.is_some() {} });
    let mut seqs = Vec::new();
    for number in 0..MESSAGES {
        let id = format!("{}-{number}", account.id);
        let body = json!({ "text": format!("{} {number}", account.id) });
        // Sent again under the same id until somebody answers.
        loop {
            match client
                .send_message_as(id.as_str(), room.as_str(), &body)
                .await
            {
                Ok(sent) => {
                    seqs.push(sent.seq);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drain.abort();
    seqs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateways_clients_go_on_at_another_without_loss_or_doubles() {
    let cluster = Cluster::new().unwrap();
    let (mut one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let _workers = cluster.workers().unwrap();
    let proxy = Proxy::before(&[&one, &two]).unwrap();
    let (ann, bob) = (
        register(&one, "ann").unwrap(),
        register(&one, "bob").unwrap(),
    );
    let mut eve = User::connect(&proxy.socket(), register(&one, "eve").unwrap()).await;
    let host = User::connect(&two.socket(), ann.clone()).await;
    let room = host.make_room("General", &["bob", "eve"]).await;
    eve.sees_room(&room).await;
    let talking =
        [ann, bob].map(|account| tokio::spawn(talks(proxy.socket(), account, room.clone())));
    let mut heard = Vec::new();
    while heard.len() < 2 * MESSAGES {
        if heard.len() == MESSAGES / 2 {
            one.kill();
        }
        heard.push(eve.hears(&room).await);
    }
    let mut acknowledged = Vec::new();
    for talker in talking {
        let seqs = talker.await.unwrap();
        assert!(seqs.is_sorted(), "one sender's order is kept");
        acknowledged.extend(seqs);
    }
    acknowledged.sort_unstable();
    let seqs: Vec<u64> = heard.iter().map(|heard| heard.seq).collect();
    assert_eq!(
        seqs, acknowledged,
        "each acknowledged message is heard once, in order"
    );
    let history: Vec<u64> = host
        .history(&room)
        .await
        .into_iter()
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(history, acknowledged, "and so it stands in the history");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_worker_is_killed_and_another_takes_over() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let mut first = cluster.workers().unwrap();
    let (mut ann, mut bob) = (
        User::join(&gateway, "ann").await,
        User::join(&gateway, "bob").await,
    );
    let room = ann.make_room("General", &["bob"]).await;
    bob.sees_room(&room).await;
    for number in 0..50 {
        ann.says(&room, &format!("before {number}")).await;
    }
    let _second = cluster.workers().unwrap();
    first.iter_mut().for_each(Process::kill);
    for number in 0..50 {
        ann.says(&room, &format!("after {number}")).await;
    }
    for _ in 0..100 {
        bob.hears(&room).await;
    }
    // Fan-out goes on: an invitation reaches a live session.
    let next = bob.make_room("Next", &["ann"]).await;
    ann.sees_room(&next).await;
    // The archiver goes on: everything is archived, once.
    archived(&cluster, &room, 100);
    // Presence goes on.
    drop(bob);
    let token = ann.account.token.clone();
    eventually("bob is offline", PATIENCE, || {
        let (_, user) =
            chinwag_tests::cluster::call(&gateway, "GET", "/v1/users/bob", &token, None).ok()?;
        (user["user"]["online"] == false).then_some(())
    })
    .unwrap();
}

/// Waits until the archive has so many messages of a room, each once.
fn archived(cluster: &Cluster, room: &str, messages: u64) {
    let mut redis = cluster.redis.connection().unwrap();
    let pattern = format!("room:*:{room}");
    let key: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut redis).unwrap();
    eventually("all is archived", PATIENCE, || {
        let (seq, archived): (u64, Option<u64>) = redis::cmd("HMGET")
            .arg(&key[0])
            .arg("s")
            .arg("a")
            .query(&mut redis)
            .ok()?;
        (archived == Some(seq)).then_some(())
    })
    .unwrap();
    let path = cluster.archive().trim_start_matches("sqlite:").to_owned();
    let count = std::process::Command::new("python3")
        .args(["-c", COUNT, &path, room])
        .output()
        .unwrap();
    let count = String::from_utf8(count.stdout).unwrap();
    assert_eq!(count.trim(), format!("{messages} {messages}"));
}

/// Counts messages and distinct ids as anybody could, who has the file.
const COUNT: &str = "
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    \"select count(*), count(distinct message_id) from events where room = ? and kind = 'message'\",
    (sys.argv[2],)).fetchone()
print(*rows)
";

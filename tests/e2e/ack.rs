//! How safe a message is before it is acknowledged, with an archiver that is there, away, and back.

use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::process::Process;
use serde_json::{Value, json};

fn room(gateway: &Process, token: &str) -> String {
    let new = json!({ "name": "Tea" });
    let (_, made) = call(gateway, "POST", "/v1/rooms", token, Some(&new)).unwrap();
    let id = made["room"]["id"].as_str().unwrap().to_owned();
    format!("/v1/rooms/{id}/messages")
}

fn send(gateway: &Process, token: &str, path: &str, id: &str) -> Value {
    let body = json!({ "id": id, "body": "hi", "ack": "archived" });
    let (status, sent) = call(gateway, "POST", path, token, Some(&body)).unwrap();
    assert_eq!(status, 200, "{sent}");
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_message_is_answered_as_soon_as_the_archive_has_it() {
    let cluster = Cluster::new().unwrap();
    let cluster = cluster.with("gateway.ack_timeout_ms", "900");
    let gateway = cluster.start("gateway").unwrap();
    let token = register(&gateway, "ann").unwrap().token;
    let path = room(&gateway, &token);
    let sent = send(&gateway, &token, &path, "m-0");
    assert_eq!(sent["durability"], "accepted", "nobody archives yet");
    let archiver = cluster.start("archiver").unwrap();
    let patience = Duration::from_secs(20);
    eventually("what was sent before is archived", patience, || {
        let again = send(&gateway, &token, &path, "m-0");
        (again["durability"] == "archived" && again["seq"] == sent["seq"]).then_some(())
    })
    .unwrap();
    // Sooner than a second, after which it would be asked for: marks are heard.
    let mut slowest = 0;
    for number in 1..=50 {
        let began = Instant::now();
        let sent = send(&gateway, &token, &path, &format!("m-{number}"));
        assert_eq!(sent["durability"], "archived", "{}", archiver.log());
        slowest = slowest.max(began.elapsed().as_millis());
    }
    assert!(slowest < 900, "{slowest} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_another_archive_does_not_start() {
    let cluster = Cluster::new().unwrap();
    let _gateway = cluster.start("gateway").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = format!("sqlite:{}", folder.path().join("other.db").display());
    let cluster = cluster.with_archive(&other);
    let problem = format!("{:#}", cluster.start("archiver").err().unwrap());
    for words in [
        "this Redis belongs to archive",
        "give all processes the same --archive",
    ] {
        assert!(problem.contains(words), "{problem}");
    }
}

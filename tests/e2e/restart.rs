//! Everything stops and starts again.

use chinwag_tests::cluster::{Cluster, call};
use chinwag_tests::process::Process;
use serde_json::json;
use tempfile::TempDir;

use crate::user::User;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_all_processes_and_of_redis_keeps_users_rooms_and_messages() {
    let mut cluster = Cluster::new().unwrap();
    let mut gateway = cluster.start("gateway").unwrap();
    let mut workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let room = ann.make_room("General", &[]).await;
    let mut sent = Vec::new();
    for text in ["one", "two", "three"] {
        sent.push((ann.says(&room, text).await, text.to_owned()));
    }
    assert!(gateway.stop().unwrap().success(), "{}", gateway.log());
    for worker in &mut workers {
        assert!(worker.stop().unwrap().success(), "{}", worker.log());
    }
    cluster.redis.restart().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let again = User::connect(&gateway.socket(), ann.account.clone()).await;
    assert_eq!(again.history(&room).await, sent);
    let next = again.says(&room, "four").await;
    assert_eq!(next, sent.last().unwrap().0 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_keeps_everything_in_its_folder() {
    let folder = TempDir::new().unwrap();
    let up = || {
        let data = folder.path().display().to_string();
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        Process::start(["up", "--data", &data].into_iter().chain(listen)).unwrap()
    };
    let mut first = up();
    let ann = User::join(&first, "ann").await;
    let mut bob = User::join(&first, "bob").await;
    let room = ann.make_room("General", &["bob"]).await;
    bob.sees_room(&room).await;
    let said = ann.says(&room, "hello").await;
    assert_eq!(bob.hears(&room).await.text, "hello");
    assert!(first.stop().unwrap().success(), "{}", first.log());
    let mut second = up();
    let (status, me) = call(&second, "GET", "/v1/me", &ann.account.token, None).unwrap();
    assert_eq!((status, &me["user"]["id"]), (200, &json!("ann")));
    let again = User::connect(&second.socket(), ann.account.clone()).await;
    assert_eq!(again.history(&room).await, [(said, "hello".to_owned())]);
    // Killed, it leaves nothing behind that would be in the way of the next start.
    second.kill();
    let third = up();
    let again = User::connect(&third.socket(), ann.account.clone()).await;
    assert_eq!(again.history(&room).await.len(), 1);
}

#[test]
fn a_second_command_on_the_same_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().display().to_string();
    let arguments = [
        "up",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let _first = Process::start(arguments).unwrap();
    let refused = Process::start(arguments)
        .err()
        .expect("a refusal")
        .to_string();
    assert!(refused.contains("use"), "{refused}");
}

//! Who is online.

use std::time::Duration;

use chinwag_client::notice::Notice;
use chinwag_client::request::Subscription;
use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::process::Process;

use crate::user::{PATIENCE, User};

fn joins() -> Subscription {
    Subscription {
        joins: true,
        ..Subscription::default()
    }
}

fn is_online(gateway: &Process, token: &str, user: &str) -> Option<bool> {
    let (_, answer) = call(gateway, "GET", &format!("/v1/users/{user}"), token, None).ok()?;
    answer["user"]["online"].as_bool()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_seen_to_come_and_go() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let mut ann = User::join(&gateway, "ann").await;
    let account = register(&gateway, "bob").unwrap();
    let room = ann.make_room("General", &["bob"]).await;
    let token = ann.account.token.clone();
    assert_eq!(is_online(&gateway, &token, "bob"), Some(false));
    let (one, two) = (
        User::connect(&gateway.socket(), account.clone()).await,
        User::connect(&gateway.socket(), account).await,
    );
    loop {
        let (at, data) = ann.event().await;
        if at == room && data["type"] == "presence" && data["users"]["bob"]["state"] == "online" {
            break;
        }
    }
    drop(one);
    assert_eq!(
        is_online(&gateway, &token, "bob"),
        Some(true),
        "one device of two is enough"
    );
    drop(two);
    loop {
        let (at, data) = ann.event().await;
        if at == room && data["users"]["bob"]["state"] == "offline" {
            assert!(data["users"]["bob"]["last_seen"].as_u64() > Some(0));
            break;
        }
    }
    assert_eq!(is_online(&gateway, &token, "bob"), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_leaves_no_ghosts_beyond_lease_and_sweep() {
    let cluster = Cluster::new().unwrap().with("presence.lease_ms", "3000");
    let (mut doomed, gateway) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let _workers = cluster.workers().unwrap();
    let ann = User::join(&gateway, "ann").await;
    let bob = User::join(&doomed, "bob").await;
    let channel = "lobby";
    bob.client.subscribe(channel, joins()).await.unwrap();
    ann.client.subscribe(channel, joins()).await.unwrap();
    let token = ann.account.token.clone();
    eventually("bob is online", PATIENCE, || {
        is_online(&gateway, &token, "bob").filter(|online| *online)
    })
    .unwrap();
    assert_eq!(
        ann.client.presence(channel).await.unwrap().presence.len(),
        2
    );
    doomed.kill();
    eventually("bob is offline", Duration::from_secs(3 + 2 + 2), || {
        is_online(&gateway, &token, "bob").filter(|online| !online)
    })
    .unwrap();
    assert_eq!(
        ann.client.presence(channel).await.unwrap().presence.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_and_leaves_of_a_channel_are_told() {
    let cluster = Cluster::new()
        .unwrap()
        .with("namespaces.default.join_leave", "true");
    let (one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let _workers = cluster.workers().unwrap();
    let mut ann = User::join(&one, "ann").await;
    let bob = User::join(&two, "bob").await;
    ann.client.subscribe("lobby", joins()).await.unwrap();
    bob.client.subscribe("lobby", joins()).await.unwrap();
    loop {
        if let Notice::Joined { info, .. } = ann.notice().await
            && info.user == "bob"
        {
            break;
        }
    }
    let stats = ann.client.presence_stats("lobby").await.unwrap();
    assert_eq!((stats.num_clients, stats.num_users), (2, 2));
    bob.client.unsubscribe("lobby").await.unwrap();
    loop {
        if let Notice::Left { info, .. } = ann.notice().await {
            assert_eq!(info.user, "bob");
            break;
        }
    }
}

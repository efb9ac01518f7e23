//! Who is told of changes, and in which form.

use std::time::Duration;

use chinwag_protocol::id::RoomId;
use serde_json::json;

use crate::stage::Stage;
use crate::support::{room, user};

const LONG: Duration = Duration::from_secs(60);

/// What a fan-out worker would have done.
async fn list(stage: &Stage, room: &RoomId, members: &[&str]) {
    let members: Vec<_> = members.iter().map(|name| user(name)).collect();
    stage.store.touch_rooms(room, &members, 1).await.unwrap();
}

#[tokio::test]
async fn rooms_and_the_user_are_told_of_coming_and_going() {
    let stage = Stage::new().await;
    stage.register("ann").await;
    let room = stage.writer.group("room:a", &["ann", "bob"]).await;
    list(&stage, &room, &["ann", "bob"]).await;
    let personal = RoomId::personal(&user("ann"));
    let mut ears = stage.ears(&[room.clone(), personal.clone()]).await;
    let worker = stage.start();
    let gateway = stage.gateway("one", LONG).await;
    gateway.opens("ann").await;
    let online = json!({"type": "presence", "users": {"ann": {"state": "online"}}});
    let mut told = [ears.digest().await, ears.digest().await];
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(told[0], (personal.to_string(), online.clone()));
    assert_eq!(told[1], (room.to_string(), online));
    gateway.closes("ann").await;
    let (_, offline) = ears.digest().await;
    assert_eq!(offline["users"]["ann"]["state"], "offline");
    assert!(offline["users"]["ann"]["last_seen"].as_u64().unwrap() > 1_600_000_000_000);
    worker.stop().await;
}

#[tokio::test]
async fn changes_of_a_moment_are_one_word_to_each_room() {
    let stage = Stage::new().await;
    let names = ["ann", "bob", "cid"];
    let room = stage.writer.group("room:a", &names).await;
    list(&stage, &room, &names).await;
    let mut ears = stage.ears(std::slice::from_ref(&room)).await;
    let gateway = stage.gateway("one", LONG).await;
    for name in names {
        stage.register(name).await;
        gateway.opens(name).await;
    }
    let worker = stage.start();
    let mut users = 0;
    let mut digests = 0;
    while users < 3 {
        let (_, digest) = ears.digest().await;
        users += digest["users"].as_object().unwrap().len();
        digests += 1;
    }
    assert_eq!(users, 3);
    // They are in several partitions, which may not all be held at the same moment.
    assert!(digests <= 2, "{digests} digests");
    worker.stop().await;
}

#[tokio::test]
async fn large_rooms_are_not_told() {
    let stage = Stage::new().await;
    let names: Vec<String> = (1..251).map(|number| format!("user-{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.insert(0, "ann");
    let large = stage.writer.group("room:large", &names).await;
    let small = stage.writer.group("room:small", &names[..250]).await;
    list(&stage, &large, &names[..1]).await;
    list(&stage, &small, &names[..1]).await;
    stage.register("ann").await;
    let rooms = [large, small.clone(), room("elsewhere")];
    let mut ears = stage.ears(&rooms).await;
    let worker = stage.start();
    let gateway = stage.gateway("one", LONG).await;
    for _ in 0..2 {
        gateway.opens("ann").await;
        assert_eq!(ears.digest().await.0, small.to_string());
        gateway.closes("ann").await;
        assert_eq!(ears.digest().await.0, small.to_string());
    }
    worker.stop().await;
}

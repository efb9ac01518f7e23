//! Gateways that die without a word leave nobody behind.

use std::time::{Duration, Instant};

use chinwag_store::channel::Signal;

use crate::stage::{LEASE, Stage};
use crate::support::{room, room_in, until};

#[tokio::test]
async fn a_dead_gateways_users_are_offline_within_lease_and_sweep() {
    let stage = Stage::new().await;
    let names: Vec<String> = (0..100).map(|number| format!("user-{number}")).collect();
    for name in &names {
        stage.register(name).await;
    }
    let worker = stage.start();
    let long = Duration::from_secs(60);
    let dying = stage.gateway("dying", long).await;
    let living = stage.gateway("living", long).await;
    for name in &names {
        dying.opens(name).await;
    }
    living.opens("user-0").await;
    for name in &names {
        stage.becomes(name, true).await;
    }
    let renewed = Instant::now();
    let last = stage.store.renew_gateway(&dying.name, LEASE, false);
    assert!(last.await.unwrap());
    for name in &names[1..] {
        stage.becomes(name, false).await;
    }
    let took = renewed.elapsed();
    println!("the last ghost was gone after {took:?}");
    assert!(took < LEASE + Duration::from_secs(2), "{took:?}");
    assert!(stage.is_online("user-0").await, "there is another session");
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_gateways_clients_leave_their_channels_and_the_others_hear_of_it() {
    let stage = Stage::new().await;
    let long = Duration::from_secs(60);
    let (dying, living) = (
        stage.gateway("dying", LEASE).await,
        stage.gateway("living", long).await,
    );
    let lobby = room("lobby");
    dying.enters(&lobby, "ann").await;
    dying.enters(&lobby, "bob").await;
    living.enters(&lobby, "eve").await;
    let mut ears = stage.ears(std::slice::from_ref(&lobby)).await;
    let worker = stage.start();
    let mut left = Vec::new();
    while left.len() < 2 {
        let (_, Signal::Leave(occupant)) = ears.hear().await else {
            panic!("not what was expected")
        };
        left.push(occupant.user);
    }
    left.sort();
    assert_eq!(left, ["ann", "bob"]);
    let there = stage.store.occupants(&lobby).await.unwrap();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].1.user, "eve");
    let partition = stage.store.keys().of_room(&lobby);
    until("it is forgotten", async || {
        let held = stage
            .store
            .held_rooms(partition, &dying.name)
            .await
            .unwrap();
        held.is_empty()
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn ghosts_of_gateways_that_nobody_remembers_are_found() {
    let stage = Stage::new().await;
    stage.register("ann").await;
    let worker = stage.start();
    let gateway = stage.gateway("one", Duration::from_secs(60)).await;
    gateway.opens("ann").await;
    stage.becomes("ann", true).await;
    worker.stop().await;
    // As after an hour in which nothing ran.
    let socket = stage.redis.url().replace("redis+unix://", "");
    let removed = std::process::Command::new("redis-cli")
        .args(["-s", &socket, "DEL", "gateways"])
        .output()
        .unwrap();
    assert_eq!(removed.stdout, b"1\n");
    let worker = stage.start();
    stage.becomes("ann", false).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_partition_that_was_swept_before_is_swept_by_its_next_owner() {
    let stage = Stage::new().await;
    let dead = stage.gateway("dead", Duration::ZERO).await;
    let worker = stage.start();
    until("it is ready", async || worker.is_ready()).await;
    worker.stop().await;
    // A last word of a gateway that had stood still.
    let room = room_in(&stage.store, 3);
    dead.enters(&room, "ann").await;
    let worker = stage.start();
    until("it is empty", async || {
        stage.store.occupants(&room).await.unwrap().is_empty()
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn who_ends_a_moment_after_having_been_seen_alive_leaves_no_ghosts() {
    let stage = Stage::new().await;
    for name in ["ann", "bob"] {
        stage.register(name).await;
    }
    let worker = stage.start();
    let gateway = stage.gateway("one", Duration::from_secs(60)).await;
    for name in ["ann", "bob"] {
        gateway.opens(name).await;
        stage.becomes(name, true).await;
    }
    // The worker remembers for a second who is alive, and sweeps within half of one.
    stage.store.retire_gateway(&gateway.name).await.unwrap();
    for name in ["ann", "bob"] {
        stage.becomes(name, false).await;
    }
    worker.stop().await;
}

//! A primary and a replica: waiting for it, and changing places with it.

use std::time::Duration;

use chinwag_protocol::position::Position;
use chinwag_store::{Config, Error, Store};
use chinwag_tests::redis_server::{Server, eventually};

use crate::support::{CHANNEL, append, room, says, written};

async fn store(server: &Server) -> Store {
    let config = Config {
        url: format!("redis://{}", server.address()),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(2),
        partitions: 4,
    };
    Store::connect(config).await.unwrap()
}

fn follow(server: &Server, primary: &Server) {
    let port = primary.port().to_string();
    let _ok: String = server.ask(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    let linked = || {
        Ok(server
            .info("master_link_status")
            .is_ok_and(|status| status == "up"))
    };
    eventually("a replica that has caught up", linked).unwrap();
}

fn lead(server: &Server) {
    let _ok: String = server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
}

#[tokio::test]
async fn a_level_is_reached_when_the_replica_has_it_and_not_before() {
    let (primary, replica) = (Server::start(&[]).unwrap(), Server::start(&[]).unwrap());
    let (store, lobby) = (store(&primary).await, room("lobby"));
    let place = [(store.keys().of_room(&lobby), 1)];
    let wait = Duration::from_millis(200);
    let waiting = store.another().unwrap();
    written(append(&store, says(&lobby, CHANNEL, "ann", "m-1", "hi"), (0, 0)).await);
    let reached = waiting.await_replicas(&place, 1, wait).await.unwrap();
    assert_eq!(reached, [], "there is no replica");
    // With its first replica a primary begins a history, and so an epoch.
    follow(&replica, &primary);
    written(append(&store, says(&lobby, CHANNEL, "ann", "m-2", "hi"), (0, 0)).await);
    let place = [(place[0].0, 2)];
    let long = Duration::from_secs(1);
    let reached = waiting.await_replicas(&place, 1, long).await.unwrap();
    assert_eq!(reached, place);
    replica.signal("STOP").unwrap();
    written(append(&store, says(&lobby, CHANNEL, "ann", "m-3", "hi"), (0, 0)).await);
    let reached = waiting.await_replicas(&place, 1, wait).await.unwrap();
    assert_eq!(reached, [], "the replica stands still");
    replica.signal("CONT").unwrap();
    let over = [(place[0].0, 7)];
    let reached = waiting.await_replicas(&over, 1, long).await.unwrap();
    assert_eq!(reached, [], "that epoch is not this one's");
}

/// A primary that was a replica in between has lost what it alone had, though it is the same
/// process: it must not go on in the epoch of its first reign.
#[tokio::test]
async fn a_primary_that_comes_back_to_power_needs_another_epoch() {
    let (first, second) = (Server::start(&[]).unwrap(), Server::start(&[]).unwrap());
    let (store, lobby) = (store(&first).await, room("lobby"));
    follow(&second, &first);
    written(append(&store, says(&lobby, CHANNEL, "ann", "m-1", "one"), (0, 0)).await);
    let both = || Ok(second.ask::<usize>(&["DBSIZE"])? == first.ask::<usize>(&["DBSIZE"])?);
    eventually("a replica that has it", both).unwrap();
    lead(&second);
    let lost = append(&store, says(&lobby, CHANNEL, "ann", "m-2", "two"), (0, 0)).await;
    assert_eq!(written(lost).position, Position::new(1, 2));
    follow(&first, &second);
    lead(&first);
    let draft = [says(&lobby, CHANNEL, "ann", "m-3", "three")];
    let partition = store.keys().of_room(&lobby);
    let refused = loop {
        match store.append(partition, &draft).await {
            Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => break answer,
        }
    };
    assert!(
        matches!(refused, Err(Error::NeedEpoch { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_user_who_may_not_ask_who_reigns_is_told_what_to_do() {
    let server = Server::start(&[]).unwrap();
    let user = [
        "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info",
    ];
    let _ok: String = server.ask(&user).unwrap();
    let config = Config {
        url: format!("redis://app:secret@{}", server.address()),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(2),
        partitions: 4,
    };
    let Err(Error::Refused { problem, .. }) = Store::connect(config).await else {
        panic!("it starts, and cannot write anything")
    };
    for words in ["may not run INFO", "acl setuser <name> +info"] {
        assert!(problem.contains(words), "{problem}");
    }
}

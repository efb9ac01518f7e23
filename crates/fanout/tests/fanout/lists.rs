//! Users' lists of rooms: who is in them, and in which order.

use std::time::Duration;

use chinwag_protocol::event::Change;
use chinwag_protocol::id::RoomId;

use crate::stage::Stage;
use crate::support::{set, until, user};

async fn list(stage: &Stage, name: &str) -> Vec<RoomId> {
    let rooms = stage.store.rooms_of(&user(name), None, 10).await.unwrap();
    rooms.into_iter().map(|(room, _)| room).collect()
}

#[tokio::test]
async fn rooms_come_into_lists_and_go_from_them_with_membership() {
    let stage = Stage::new().await;
    let worker = stage.start();
    let room = stage.writer.group("room:a", &["ann", "bob"]).await;
    until("both have it", async || {
        list(&stage, "ann").await == [room.clone()] && list(&stage, "bob").await == [room.clone()]
    })
    .await;
    let bob = user("bob");
    let left = stage
        .store
        .change_member(&room, Some(&bob), &bob, Change::Left);
    left.await.unwrap();
    until("it is gone", async || list(&stage, "bob").await.is_empty()).await;
    stage.writer.tell(&room, "ann", "").await;
    worker.stop().await;
    assert_eq!(
        list(&stage, "bob").await,
        [],
        "what is said later does not bring it back"
    );
    assert_eq!(list(&stage, "ann").await, [room]);
}

#[tokio::test]
async fn lists_end_up_in_the_order_in_which_was_spoken() {
    let stage = Stage::new().await;
    let worker = stage.start();
    let small = stage.writer.group("room:small", &["ann", "bob"]).await;
    let other = stage.writer.group("room:other", &["ann", "bob"]).await;
    let large = ["ann", "bob", "cid", "dan", "eve"];
    let large = stage.writer.group("room:large", &large).await;
    for turn in [&small, &other, &large] {
        let first = stage.writer.tell(turn, "ann", "").await;
        until("the first move is made at once", async || {
            let rooms = stage.store.rooms_of(&user("bob"), None, 10).await.unwrap();
            rooms.first() == Some(&(turn.clone(), first.time))
        })
        .await;
    }
    for turn in [&small, &large, &other, &small] {
        stage.writer.tell(turn, "ann", "").await;
    }
    let last = stage.writer.tell(&small, "bob", "").await;
    until("the last move is made", async || {
        let rooms = stage.store.rooms_of(&user("bob"), None, 10).await.unwrap();
        rooms.first() == Some(&(small.clone(), last.time))
    })
    .await;
    let expected = [small, other, large];
    until("the others are too", async || {
        list(&stage, "ann").await == expected && list(&stage, "bob").await == expected
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_makes_the_moves_that_it_has_put_off() {
    let stage = Stage::new().await;
    let worker = stage.start();
    let large = ["ann", "bob", "cid", "dan", "eve"];
    let large = stage.writer.group("room:large", &large).await;
    let mut last = stage.writer.tell(&large, "ann", "").await;
    for _ in 0..5 {
        last = stage.writer.tell(&large, "ann", "").await;
    }
    worker.stop().await;
    // It may have stopped before it had read the last ones: they are the next one's.
    stage.start().stop_when_done(&stage.store, "fanout").await;
    let rooms = stage.store.rooms_of(&user("eve"), None, 10).await.unwrap();
    assert_eq!(rooms, [(large, last.time)]);
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_the_moves_that_it_has_put_off_to_the_next() {
    let stage = Stage::new().await;
    let worker = stage.start_at_pace(Duration::from_secs(600));
    let room = stage.writer.group("room:a", &["ann", "bob"]).await;
    let first = stage.writer.tell(&room, "ann", "").await;
    let list = async || stage.store.rooms_of(&user("bob"), None, 10).await.unwrap();
    until("the first move is made", async || {
        list().await == [(room.clone(), first.time)]
    })
    .await;
    stage.writer.tell(&room, "ann", "").await;
    let last = stage.writer.tell(&room, "ann", "").await;
    let partition = stage.store.keys().of_room(&room);
    until("the worker has read all of it", async || {
        let mark = stage.store.mark(partition, "fanout").await.unwrap();
        let left = stage.store.backlog("fanout", &[(partition, mark)]).await;
        left.unwrap()[0].behind == 0
    })
    .await;
    assert!(last.time > first.time);
    worker.kill();
    let next = stage.start();
    until("the last move is made", async || {
        list().await == [(room.clone(), last.time)]
    })
    .await;
    until("nothing is put off any more", async || {
        let left = stage.store.moves_put_off(partition, 10).await;
        left.unwrap().is_empty()
    })
    .await;
    next.stop().await;
}

#[tokio::test]
async fn a_full_redis_does_not_hold_up_the_log() {
    let stage = Stage::new().await;
    let room = stage.writer.group("room:a", &["ann", "bob"]).await;
    stage.writer.tell(&room, "ann", "").await;
    set(&stage.redis, "maxmemory", "1");
    stage.start().stop_when_done(&stage.store, "fanout").await;
    assert_eq!(list(&stage, "bob").await, [room]);
}

//! What members are told who are online and do not listen.

use std::time::Duration;

use chinwag_protocol::event::{Change, Kind};
use chinwag_store::channel::Notice;

use crate::stage::{Stage, users};
use crate::support::{process, room, until, user};

#[tokio::test]
async fn a_new_room_appears_for_its_members_wherever_they_are() {
    let stage = Stage::new().await;
    let mut here = stage.gateway("here", &["ann"]).await;
    let mut there = stage.gateway("there", &["bob", "eve"]).await;
    let worker = stage.start();
    let room = stage.writer.group("room:a", &["ann", "bob"]).await;
    let appears = |seq, names| Notice::Appear {
        room: room.clone(),
        seq,
        users: users(names),
    };
    // The first event is that the room was made.
    assert_eq!(here.hears().await, appears(2, &["ann"]));
    assert_eq!(there.hears().await, appears(3, &["bob"]));
    let (ann, eve) = (user("ann"), user("eve"));
    let change = |change| stage.store.change_member(&room, Some(&ann), &eve, change);
    change(Change::Invited).await.unwrap();
    assert_eq!(there.hears().await, appears(4, &["eve"]));
    change(Change::Removed).await.unwrap();
    let vanishes = Notice::Vanish {
        room: room.clone(),
        users: users(&["eve"]),
    };
    assert_eq!(there.hears().await, vanishes);
    worker.stop().await;
}

#[tokio::test]
async fn a_direct_room_appears_for_both_with_its_first_message() {
    let stage = Stage::new().await;
    let mut gateway = stage.gateway("here", &["ann", "bob"]).await;
    let worker = stage.start();
    let room = stage
        .writer
        .make("dm:ann:bob", Kind::Dm, &["ann", "bob"])
        .await;
    stage.writer.tell(&room, "ann", "m-1").await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let Notice::Appear {
            room: which, users, ..
        } = gateway.hears().await
        else {
            panic!("not what was expected")
        };
        assert_eq!(which, room);
        told.extend(users);
    }
    assert_eq!(told, users(&["ann", "bob"]));
    worker.stop().await;
}

#[tokio::test]
async fn those_who_watch_hear_of_activity_and_the_watches_of_the_dead_are_removed() {
    let stage = Stage::new().await;
    let room = stage.writer.group("room:a", &["ann", "bob", "eve"]).await;
    let rooms = [room.clone()];
    let dead = process("dead");
    let begun = stage.store.renew_gateway(&dead, Duration::ZERO, true);
    begun.await.unwrap();
    stage.watch(&dead, "eve", &room).await;
    let worker = stage.start();
    let mut gateway = stage.gateway("here", &[]).await;
    for name in ["ann", "bob"] {
        stage.watch(&gateway.name, name, &room).await;
    }
    let receipt = stage.writer.tell(&room, "ann", "m-1").await;
    // What went before may be told of too.
    let (seq, told) = loop {
        match gateway.hears().await {
            Notice::Activity { seq, users, .. } if seq == receipt.position.seq => {
                break (seq, users);
            }
            _ => {}
        }
    };
    assert_eq!((seq, told), (receipt.position.seq, users(&["ann", "bob"])));
    until("the dead one's watch is gone", async || {
        let watchers = stage.store.watchers(&rooms).await.unwrap();
        watchers[0].len() == 2
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_gateway_that_has_just_begun_keeps_its_watches() {
    let stage = Stage::new().await;
    let room = stage.writer.group("room:a", &["ann"]).await;
    let worker = stage.start();
    let mut first = stage.gateway("first", &[]).await;
    stage.watch(&first.name, "ann", &room).await;
    for number in 0..20 {
        // The worker has just looked who lives, and cannot know of the next one yet.
        let mut next = stage.gateway(&format!("next-{number}"), &[]).await;
        stage.watch(&next.name, "ann", &room).await;
        let receipt = stage.writer.tell(&room, "ann", "").await;
        for gateway in [&mut first, &mut next] {
            let heard = loop {
                match gateway.hears().await {
                    Notice::Activity { seq, .. } if seq < receipt.position.seq => {}
                    heard => break heard,
                }
            };
            let Notice::Activity { seq, .. } = heard else {
                panic!("{heard:?}")
            };
            assert_eq!(seq, receipt.position.seq);
        }
    }
    worker.stop().await;
}

#[tokio::test]
async fn what_is_published_into_a_channel_concerns_nobody() {
    let stage = Stage::new().await;
    let mut gateway = stage.gateway("here", &["ann"]).await;
    let channel = room("news");
    stage.watch(&gateway.name, "ann", &channel).await;
    let worker = stage.start();
    stage.writer.publish(&channel, "ann").await;
    let group = stage.writer.group("room:a", &["ann"]).await;
    let Notice::Appear { room, .. } = gateway.hears().await else {
        panic!("not what was expected")
    };
    assert_eq!(room, group);
    worker.stop().await;
}

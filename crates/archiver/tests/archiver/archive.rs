//! What is archived, and what is trimmed.

use std::process::Command;

use chinwag_archive::{Archive, Range};
use chinwag_protocol::event::Content;

use crate::gate::Gate;
use crate::stage::{Stage, archive};
use crate::support::{PARTITIONS, durable, room_in, set, until};

const ALL: usize = PARTITIONS as usize;

#[tokio::test]
async fn everything_is_archived_and_trimmed_when_it_is_fanned_out_too() {
    let stage = Stage::new().await;
    stage.say(60).await;
    let archiver = stage.start();
    stage.archived(60).await;
    assert_eq!(stage.entries().await, 60 * ALL, "nothing is fanned out yet");
    stage.fan_out(5).await;
    stage.trimmed_to(5 * ALL).await;
    stage.say(1).await;
    stage.archived(61).await;
    assert_eq!(stage.entries().await, 6 * ALL, "trim never passes fan-out");
    stage.fan_out(0).await;
    stage.trimmed_to(0).await;
    archiver.stop().await;
    let counted = stage.archive.counted();
    assert_eq!((counted.inserted, counted.wrong), (61 * ALL, 0));
}

#[tokio::test]
async fn rooms_hear_how_far_they_are_archived_and_let_go_of_the_rest() {
    let stage = Stage::new().await;
    let archiver = stage.start();
    let room = room_in(&stage.store, 0);
    for _ in 0..200 {
        stage.writer.say(&room, "ann", "").await;
    }
    until("the ring is short", async || {
        stage.writer.say(&room, "ann", "").await;
        let ring = stage.store.ring(&room, 1, 10_000).await.unwrap();
        ring.len() < 100
    })
    .await;
    archiver.stop().await;
}

#[tokio::test]
async fn while_the_archive_is_away_nothing_is_trimmed_and_ready_says_why() {
    let stage = Stage::new().await;
    let archiver = stage.start();
    stage.say(3).await;
    stage.archived(3).await;
    stage.archive.set(Gate::Away);
    stage.say(3).await;
    stage.fan_out(0).await;
    until("it says why", async || {
        let ready = archiver.readiness();
        !ready.ready && ready.parts["archiver/log"].contains("the disk is full")
    })
    .await;
    stage.trimmed_to(3 * ALL).await;
    let other = stage.start();
    until("another one says why too", async || {
        let parts = other.readiness().parts;
        parts
            .get("archiver/log")
            .is_some_and(|why| why.contains("the disk is full"))
    })
    .await;
    stage.archive.set(Gate::Open);
    stage.archived(6).await;
    stage.trimmed_to(0).await;
    until("both are ready", async || {
        archiver.is_ready() && other.is_ready()
    })
    .await;
    assert_eq!(stage.archive.counted().wrong, 0);
}

#[tokio::test]
async fn a_redis_that_restarts_goes_on_in_a_new_epoch() {
    let mut stage = Stage::new().await;
    durable(&stage.redis);
    let archiver = stage.start();
    stage.say(5).await;
    stage.archived(5).await;
    stage.redis.restart().unwrap();
    stage.say(5).await;
    stage.archived(10).await;
    stage.fan_out(0).await;
    stage.trimmed_to(0).await;
    archiver.stop().await;
    let counted = stage.archive.counted();
    assert_eq!((counted.inserted, counted.wrong), (10 * ALL, 0));
    let room = room_in(&stage.store, 0);
    let page = stage.archive.page(&room, Range::from(1, 10)).await.unwrap();
    assert_eq!((page[4].epoch, page[5].epoch), (1, 2));
}

#[tokio::test]
async fn an_archive_that_was_put_back_gets_what_the_log_still_has() {
    let stage = Stage::new().await;
    stage.say(5).await;
    let archiver = stage.start();
    stage.archived(5).await;
    archiver.stop().await;
    let (_folder, empty) = archive().await;
    let archiver = stage.start_on(&empty);
    until("all is archived again", async || {
        empty.counted().inserted == 5 * ALL
    })
    .await;
    archiver.stop().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_leaves_no_hole() {
    let stage = Stage::new().await;
    let room = room_in(&stage.store, 0);
    stage.writer.say(&room, "ann", "").await;
    // What a newer version might write: a head that stays, and after it who knows what.
    let script = "local log = redis.call('KEYS', 'log:*')[1]
        local head = struct.pack('>BBBI8BI8BI8BI8', 0x99, 9, 0xcf, 2, 0xcf, 1, 0xcf, 5, 0xcf, 2)
        redis.call('XADD', log, '1-*', 'r', ARGV[1], 'e', head .. 'news')
        redis.call('XADD', log, '1-*', 'x', 'somebody else')
        return redis.call('HINCRBY', redis.call('KEYS', 'room:*')[1], 's', 1)";
    let socket = stage.redis.url().replace("redis+unix://", "");
    let done = Command::new("redis-cli")
        .args(["-s", &socket, "EVAL", script, "0", room.as_str()])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    stage.writer.say(&room, "ann", "").await;
    let archiver = stage.start();
    until("all is archived", async || {
        let high = stage.archive.high(&room).await.unwrap();
        high.is_some_and(|high| high.seq == 3)
    })
    .await;
    let page = stage.archive.page(&room, Range::from(1, 10)).await.unwrap();
    let Content::Publication { data } = &page[1].content else {
        panic!("{page:?}")
    };
    assert!(
        data.as_str().starts_with(r#"{"unreadable":{"log_id":"1-"#),
        "{data:?}"
    );
    stage.fan_out(0).await;
    stage.trimmed_to(0).await;
    archiver.stop().await;
}

#[tokio::test]
async fn a_full_redis_is_emptied_into_the_archive_and_goes_on() {
    let stage = Stage::new().await;
    stage.say(20).await;
    set(&stage.redis, "maxmemory", "1");
    let archiver = stage.start();
    stage.archived(20).await;
    stage.fan_out(0).await;
    stage.trimmed_to(0).await;
    set(&stage.redis, "maxmemory", "0");
    stage.say(1).await;
    stage.archived(21).await;
    archiver.stop().await;
}

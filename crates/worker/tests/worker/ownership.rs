//! Who owns what: shared by all who live, taken over from those who die, handed over by those
//! who go.

use std::time::{Duration, Instant};

use chinwag_store::Partition;

use crate::recorder::Stage;
use crate::support::{PARTITIONS, Writer, process, room_in, until};

/// Says something everywhere until both workers have done something since they were asked.
async fn both_work(stage: &Stage) {
    let (one, two) = (stage.record.by("one"), stage.record.by("two"));
    until("both work", async || {
        stage.say(1).await;
        stage.record.by("one") > one && stage.record.by("two") > two
    })
    .await;
}

/// Every entry so far was done once, in the order of its room.
fn nothing_is_missing_or_doubled(stage: &Stage) {
    for room in stage.rooms() {
        let seqs = stage.record.of_room(room.as_str());
        let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, expected, "{room}");
    }
}

async fn all_is_done(stage: &Stage) {
    until("all is done", async || {
        let store = &stage.store;
        let mut left = 0;
        for partition in (0..PARTITIONS).map(Partition) {
            let mark = store.mark(partition, "recorder").await.unwrap();
            let backlog = store
                .backlog("recorder", &[(partition, mark)])
                .await
                .unwrap();
            left += backlog[0].behind;
        }
        left == 0
    })
    .await;
}

#[tokio::test]
async fn a_second_worker_takes_its_share_without_doubles() {
    let stage = Stage::new().await;
    let one = stage.start("one");
    stage.say(1).await;
    stage.recorded(usize::from(PARTITIONS)).await;
    let begun = Instant::now();
    let two = stage.start("two");
    both_work(&stage).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    all_is_done(&stage).await;
    nothing_is_missing_or_doubled(&stage);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_killed_workers_share_is_taken_over_and_nothing_is_skipped() {
    let stage = Stage::new().await;
    let (one, two) = (stage.start("one"), stage.start("two"));
    until("both live", async || stage.alive().await == 2).await;
    both_work(&stage).await;
    one.kill();
    let begun = Instant::now();
    let rooms = stage.rooms();
    let before: Vec<usize> = rooms
        .iter()
        .map(|room| stage.record.of_room(room.as_str()).len())
        .collect();
    stage.say(1).await;
    until("all partitions go on", async || {
        let counts = rooms
            .iter()
            .map(|room| stage.record.of_room(room.as_str()).len());
        counts.zip(&before).all(|(now, before)| now > *before)
    })
    .await;
    // The lease, a beat, and what a busy machine takes.
    let most = stage.lease + stage.lease / 5 + Duration::from_secs(1);
    assert!(begun.elapsed() < most, "{:?}", begun.elapsed());
    all_is_done(&stage).await;
    for room in rooms {
        let news = stage.record.news_of_room(room.as_str());
        let expected: Vec<u64> = (1..=news.len() as u64).collect();
        assert_eq!(news, expected, "{room}");
    }
    two.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_hands_over_without_a_pause() {
    let stage = Stage::new().await;
    let (one, two) = (stage.start("one"), stage.start("two"));
    both_work(&stage).await;
    let begun = stage.record.len();
    let rooms = stage.rooms();
    let writing = async {
        let writer = Writer::new(&stage.store);
        for turn in 0.. {
            writer.say(&rooms[turn % rooms.len()], "ann", "").await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = one.stop() => {}
        () = writing => {}
    }
    all_is_done(&stage).await;
    nothing_is_missing_or_doubled(&stage);
    let during = stage.record.all().split_off(begun);
    let slowest = during.iter().map(|seen| seen.after).max().unwrap();
    println!("{} entries, the slowest took {slowest:?}", during.len());
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    two.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_leaves_nothing_behind() {
    let stage = Stage::new().await;
    let one = stage.start("one");
    stage.say(1).await;
    stage.recorded(usize::from(PARTITIONS)).await;
    one.stop().await;
    assert_eq!(stage.alive().await, 0);
    for partition in (0..PARTITIONS).map(Partition) {
        let (lease, other) = (Duration::from_secs(1), process("other"));
        let free = stage
            .store
            .take_lease(partition, "recorder", &other, lease, 0);
        assert!(free.await.unwrap().is_some(), "{partition:?} is still held");
    }
}

#[tokio::test]
async fn work_on_a_partition_that_was_lost_stops_at_once() {
    let stage = Stage::new().await;
    let room = room_in(&stage.store, 5);
    stage.record.stuck.lock().unwrap().push(Partition(5));
    let one = stage.start("one");
    Writer::new(&stage.store).say(&room, "ann", "").await;
    until("it hangs", async || {
        !stage.record.hanging.lock().unwrap().is_empty()
    })
    .await;
    // As if its lease had run out while it stood still, and another had been faster.
    let (workers, _) = stage.store.workers("recorder").await.unwrap();
    until("another has it", async || {
        let (store, lease) = (&stage.store, Duration::from_secs(60));
        let other = process("other");
        for worker in &workers {
            let held = store
                .take_lease(Partition(5), "recorder", &worker.incarnation, lease, 0)
                .await
                .unwrap();
            store.release_lease(&held.unwrap()).await.unwrap();
        }
        let taken = store.take_lease(Partition(5), "recorder", &other, lease, 0);
        taken.await.unwrap().is_some()
    })
    .await;
    until("the work is broken off", async || {
        stage.record.broken_off.lock().unwrap().contains(&"one")
    })
    .await;
    assert_eq!(stage.record.len(), 0);
    one.stop().await;
}

//! What is done with the logs: in order, at least once, whatever fails.

use chinwag_store::Partition;
use chinwag_worker::Failure;

use crate::recorder::Stage;
use crate::support::{PARTITIONS, Writer, durable, room_in, until};

#[tokio::test]
async fn every_entry_is_done_once_in_order_and_trimmed() {
    let stage = Stage::new().await;
    stage.say(30).await;
    let worker = stage.start("one");
    stage.recorded(30 * usize::from(PARTITIONS)).await;
    worker.stop().await;
    for room in stage.rooms() {
        let expected: Vec<u64> = (1..=30).collect();
        assert_eq!(stage.record.of_room(room.as_str()), expected);
        let partition = stage.store.keys().of_room(&room);
        let mark = stage.store.mark(partition, "recorder").await.unwrap();
        let backlog = stage.store.backlog("recorder", &[(partition, mark)]).await;
        assert_eq!(backlog.unwrap()[0].length, 0);
    }
}

#[tokio::test]
async fn a_worker_goes_on_where_the_last_one_stopped() {
    let stage = Stage::new().await;
    stage.say(5).await;
    let all = usize::from(PARTITIONS);
    let worker = stage.start("one");
    stage.recorded(5 * all).await;
    worker.stop().await;
    stage.say(5).await;
    let worker = stage.start("two");
    stage.recorded(10 * all).await;
    worker.stop().await;
    assert_eq!(
        (stage.record.by("one"), stage.record.by("two")),
        (5 * all, 5 * all)
    );
}

#[tokio::test]
async fn what_comes_while_it_waits_is_done_at_once() {
    let stage = Stage::new().await;
    let worker = stage.start("one");
    until("it is ready", async || worker.is_ready()).await;
    stage.say(3).await;
    stage.recorded(3 * usize::from(PARTITIONS)).await;
    let slowest = stage
        .record
        .all()
        .iter()
        .map(|seen| seen.after)
        .max()
        .unwrap();
    assert!(
        slowest.as_millis() < 250,
        "took {slowest:?}, reads wait 500 ms"
    );
}

#[tokio::test]
async fn a_partition_that_has_trouble_does_not_hold_up_the_others() {
    let stage = Stage::new().await;
    let (bad, good) = (room_in(&stage.store, 1), room_in(&stage.store, 2));
    let trouble = Failure::Later("the archive is away".to_owned());
    stage
        .record
        .trouble
        .lock()
        .unwrap()
        .insert(Partition(1), trouble);
    let worker = stage.start("one");
    let writer = Writer::new(&stage.store);
    writer.say(&bad, "ann", "").await;
    for _ in 0..10 {
        writer.say(&good, "ann", "").await;
    }
    until("the others are done", async || stage.record.len() == 10).await;
    until("it says why", async || {
        let ready = worker.readiness();
        !ready.ready && ready.parts["recorder/log"].contains("the archive is away")
    })
    .await;
    stage.record.trouble.lock().unwrap().clear();
    stage.recorded(11).await;
    until("it is ready again", async || worker.is_ready()).await;
    assert_eq!(stage.record.of_room(bad.as_str()), [1]);
}

#[tokio::test]
async fn whoever_is_fenced_comes_back_with_a_higher_token() {
    let stage = Stage::new().await;
    let fenced = Failure::Fenced { above: 1_000 };
    stage
        .record
        .trouble
        .lock()
        .unwrap()
        .insert(Partition(3), fenced);
    let worker = stage.start("one");
    let room = room_in(&stage.store, 3);
    Writer::new(&stage.store).say(&room, "ann", "").await;
    stage.recorded(1).await;
    worker.stop().await;
    assert_eq!(stage.record.of_room(room.as_str()), [1]);
}

#[tokio::test]
async fn a_redis_that_restarts_is_waited_for() {
    let mut stage = Stage::new().await;
    durable(&stage.redis);
    stage.say(5).await;
    let worker = stage.start("one");
    stage.recorded(5 * usize::from(PARTITIONS)).await;
    stage.redis.kill();
    until("it says that Redis is away", async || {
        let ready = worker.readiness();
        ready.parts["recorder/log"].contains("Redis")
            && ready.parts["recorder/ownership"] != "ready"
    })
    .await;
    stage.redis.restart().unwrap();
    stage.say(5).await;
    stage.recorded(10 * usize::from(PARTITIONS)).await;
    until("it is ready again", async || worker.is_ready()).await;
    worker.stop().await;
    for room in stage.rooms() {
        let expected: Vec<u64> = (1..=10).collect();
        assert_eq!(stage.record.news_of_room(room.as_str()), expected);
    }
}

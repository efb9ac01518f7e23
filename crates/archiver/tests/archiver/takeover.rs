//! Who may archive: one archiver a partition, the latest, from the Redis that is current.

use chinwag_archive::Archive;
use chinwag_store::Partition;
use chinwag_store::log::LogId;

use crate::gate::Gate;
use crate::stage::Stage;
use crate::support::{PARTITIONS, until};

const ALL: usize = PARTITIONS as usize;

async fn shared_by(stage: &Stage, count: usize) {
    until("the archivers live", async || {
        let (workers, now) = stage.store.workers("archiver").await.unwrap();
        workers.iter().filter(|worker| worker.expiry > now).count() == count
    })
    .await;
}

#[tokio::test]
async fn a_killed_archivers_share_is_taken_over_without_hole_or_double() {
    let stage = Stage::new().await;
    let (one, two) = (stage.start(), stage.start());
    shared_by(&stage, 2).await;
    stage.say(20).await;
    one.kill();
    stage.say(20).await;
    stage.archived(40).await;
    stage.fan_out(0).await;
    stage.trimmed_to(0).await;
    assert_eq!(stage.archive.counted().wrong, 0);
    two.stop().await;
}

#[tokio::test]
async fn what_was_committed_and_not_marked_is_not_archived_again() {
    let stage = Stage::new().await;
    stage.say(10).await;
    stage.archive.set(Gate::Behind);
    let one = stage.start();
    until("commits are made, and their answers wait", async || {
        stage.archive.counted().waiting == ALL
    })
    .await;
    one.kill();
    stage.archive.set(Gate::Open);
    stage.fan_out(0).await;
    let two = stage.start();
    // The marks catch up, and all goes that was archived.
    stage.trimmed_to(0).await;
    stage.say(1).await;
    stage.archived(11).await;
    two.stop().await;
    let counted = stage.archive.counted();
    assert_eq!((counted.inserted, counted.wrong), (11 * ALL, 0));
    for partition in (0..PARTITIONS).map(Partition) {
        let mark = stage.store.mark(partition, "archiver").await.unwrap();
        let place = [(partition, mark)];
        let backlog = stage.store.backlog("archiver", &place).await.unwrap();
        assert_eq!(backlog[0].behind, 0);
    }
}

#[tokio::test]
async fn a_commit_of_an_archiver_that_was_overtaken_is_refused() {
    let stage = Stage::new().await;
    stage.say(10).await;
    stage.archive.set(Gate::Before);
    let one = stage.start();
    until("commits are on their way", async || {
        stage.archive.counted().waiting == ALL
    })
    .await;
    // It stands still now as far as Redis can see: its leases are given to another.
    let (workers, _) = stage.store.workers("archiver").await.unwrap();
    for partition in (0..PARTITIONS).map(Partition) {
        let (name, lease) = (&workers[0].incarnation, std::time::Duration::from_secs(60));
        let held = stage
            .store
            .take_lease(partition, "archiver", name, lease, 0);
        stage
            .store
            .release_lease(&held.await.unwrap().unwrap())
            .await
            .unwrap();
        let other = crate::support::process("other");
        let taken = stage
            .store
            .take_lease(partition, "archiver", &other, lease, 0);
        let taken = taken.await.unwrap().unwrap();
        let commit = chinwag_archive::Commit {
            partition: partition.0,
            token: taken.token,
            epoch: 1,
            rows: &[],
            upto: "0-0",
        };
        stage.archive.archive.commit(commit).await.unwrap();
        stage.store.release_lease(&taken).await.unwrap();
    }
    stage.archive.set(Gate::Open);
    stage.archived(10).await;
    let counted = stage.archive.counted();
    assert_eq!((counted.inserted, counted.wrong), (10 * ALL, 0));
    one.stop().await;
}

#[tokio::test]
async fn an_epoch_that_was_allocated_and_never_installed_is_installed() {
    let stage = Stage::new().await;
    let archiver = stage.start();
    stage.say(5).await;
    stage.archived(5).await;
    for partition in 0..PARTITIONS {
        let stray = stage
            .archive
            .allocate_epoch(partition, "another run", 1)
            .await;
        assert_eq!(stray.unwrap(), 2);
    }
    stage.say(5).await;
    stage.archived(10).await;
    archiver.stop().await;
    for partition in (0..PARTITIONS).map(Partition) {
        assert!(stage.store.epoch(partition).await.unwrap() >= 3);
    }
    assert!(stage.archive.counted().fenced > 0);
    assert_eq!(stage.archive.counted().wrong, 0);
}

#[tokio::test]
async fn a_redis_that_has_forgotten_its_tokens_learns_them_from_the_archive() {
    let stage = Stage::new().await;
    stage.say(1).await;
    for partition in 0..PARTITIONS {
        let commit = chinwag_archive::Commit {
            partition,
            token: 500,
            epoch: 1,
            rows: &[],
            upto: "0-0",
        };
        stage.archive.commit(commit).await.unwrap();
    }
    let archiver = stage.start();
    stage.archived(1).await;
    archiver.stop().await;
    assert_eq!(stage.archive.counted().fenced, 0);
}

#[tokio::test]
async fn what_a_former_primary_kept_to_itself_is_not_called_archived() {
    let stage = Stage::new().await;
    stage.say(5).await;
    // Another Redis was current meanwhile, and the archive has what was said there: nothing here.
    for partition in 0..PARTITIONS {
        let epoch = stage
            .archive
            .allocate_epoch(partition, "another run", 1)
            .await;
        let commit = chinwag_archive::Commit {
            partition,
            token: 500,
            epoch: epoch.unwrap(),
            rows: &[],
            upto: "2-1",
        };
        stage.archive.commit(commit).await.unwrap();
    }
    let archiver = stage.start();
    until("the log is passed", async || {
        let mut behind = 0;
        for partition in (0..PARTITIONS).map(Partition) {
            let mark = stage.store.mark(partition, "archiver").await.unwrap();
            behind += usize::from(
                mark < LogId {
                    epoch: 1,
                    number: 4,
                },
            );
        }
        behind == 0
    })
    .await;
    archiver.stop().await;
    let mut redis = stage.redis.connection().unwrap();
    let rooms: Vec<String> = redis::cmd("KEYS").arg("room:*").query(&mut redis).unwrap();
    for room in &rooms {
        let told = redis::cmd("HGET").arg(room).arg("a").query(&mut redis);
        let told: Option<u64> = told.unwrap();
        assert_eq!(told.unwrap_or(0), 0, "{room}");
    }
    assert_eq!(rooms.len(), ALL);
}

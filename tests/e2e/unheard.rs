//! Publications are lost between Redis and a gateway, and its readers get everything all the same,
//! without being disconnected.

use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, eventually, register};
use chinwag_tests::http;
use chinwag_tests::muffle::Muffle;
use chinwag_tests::process::Process;

use crate::user::{PATIENCE, User};

/// A reader behind a muffled gateway, and a writer at another one.
struct Scene {
    _cluster: Cluster,
    muffle: Muffle,
    muffled: Process,
    _other: Process,
    reader: User,
    writer: User,
    room: String,
}

async fn scene() -> Scene {
    let cluster = Cluster::new().unwrap();
    let muffle = Muffle::before(&cluster.redis).unwrap();
    let muffled = cluster.start_at("gateway", &muffle.url()).unwrap();
    let other = cluster.start("gateway").unwrap();
    let _account = register(&other, "bob").unwrap();
    let writer = User::join(&other, "ann").await;
    let room = writer.make_room("General", &["bob"]).await;
    let mut reader = User::connect(&muffled.socket(), _account).await;
    writer.says(&room, "hello").await;
    reader.hears(&room).await;
    Scene {
        _cluster: cluster,
        muffle,
        muffled,
        _other: other,
        reader,
        writer,
        room,
    }
}

impl Scene {
    /// Nobody was disconnected at the muffled gateway.
    fn nobody_left(&self) {
        let (_, metrics) = http::text(&format!("{}/metrics", self.muffled.admin)).unwrap();
        let left = metrics
            .lines()
            .filter(|line| line.starts_with("chinwag_gateway_disconnects_total"));
        let left: Vec<_> = left.filter(|line| !line.ends_with(" 0")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn kept(&self) {
        let none = || (self.muffle.left() == 0).then_some(());
        eventually("it is kept back", PATIENCE, none).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_middle_is_found_and_filled_at_once() {
    let mut scene = scene().await;
    let mut times = Vec::new();
    for round in 0..7 {
        scene.muffle.keep_next(1);
        scene
            .writer
            .says(&scene.room, &format!("lost {round}"))
            .await;
        scene.kept();
        let began = Instant::now();
        scene
            .writer
            .says(&scene.room, &format!("next {round}"))
            .await;
        assert_eq!(
            scene.reader.hears(&scene.room).await.text,
            format!("lost {round}")
        );
        assert_eq!(
            scene.reader.hears(&scene.room).await.text,
            format!("next {round}")
        );
        times.push(began.elapsed());
    }
    times.sort();
    eprintln!("from the next message to both being read: {times:?}");
    assert!(times[3] < Duration::from_millis(200), "{times:?}");
    scene.nobody_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_last_message_is_found_within_six_seconds() {
    let mut scene = scene().await;
    for round in 0..3 {
        scene.muffle.keep_next(1);
        let began = Instant::now();
        scene
            .writer
            .says(&scene.room, &format!("last {round}"))
            .await;
        assert_eq!(
            scene.reader.hears(&scene.room).await.text,
            format!("last {round}")
        );
        let took = began.elapsed();
        eprintln!("found after {took:?}");
        assert!(took < Duration::from_secs(6), "{took:?}");
        scene.kept();
    }
    scene.nobody_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_lives_and_hears_nothing_is_left() {
    let mut scene = scene().await;
    scene.muffle.deafen();
    let began = Instant::now();
    // Sent again and again, so that only a new connection hears the rest at once.
    scene.writer.says(&scene.room, "first").await;
    assert_eq!(scene.reader.hears(&scene.room).await.text, "first");
    let again = || {
        let (_, metrics) = http::text(&format!("{}/metrics", scene.muffled.admin)).ok()?;
        let line = "chinwag_redis_reconnects_total{connection=\"inlet\"} 1";
        metrics.contains(line).then_some(())
    };
    eventually("it listens anew", PATIENCE, again).unwrap();
    let took = began.elapsed();
    eprintln!("left after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let began = Instant::now();
    scene.writer.says(&scene.room, "second").await;
    assert_eq!(scene.reader.hears(&scene.room).await.text, "second");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    scene.nobody_left();
}

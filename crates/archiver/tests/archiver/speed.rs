//! How fast an archiver empties full logs. Not a test: run it by name, in release.

use std::time::Instant;

use chinwag_protocol::event::Content;
use chinwag_protocol::json::Json;
use chinwag_store::append::{Draft, Rules};

use crate::stage::Stage;
use crate::support::{PARTITIONS, until, user};

const EACH: usize = 6_400;

#[tokio::test]
#[ignore = "a measurement: cargo nextest run --release -p chinwag-archiver --run-ignored only --no-capture"]
async fn entries_a_second() {
    let stage = Stage::new().await;
    stage.say(1).await;
    for room in stage.rooms() {
        let partition = stage.store.keys().of_room(&room);
        let drafts: Vec<Draft> = (0..64)
            .map(|number| {
                let text = format!("a message of usual length, which is number {number}");
                let body = Json::of(&std::collections::BTreeMap::from([("text", text)]));
                let rules = Rules {
                    members_only: false,
                    history_size: 50,
                    history_seconds: 0,
                };
                let content = Content::Message { body };
                Draft::new(room.clone(), rules, Some(user("ann")), None, None, &content)
            })
            .collect();
        for _ in 0..EACH / drafts.len() {
            stage.store.append(partition, &drafts).await.unwrap();
        }
    }
    let all = stage.entries().await;
    stage.fan_out(0).await;
    let begun = Instant::now();
    let archiver = stage.start();
    until("all is trimmed", async || stage.entries().await == 0).await;
    let took = begun.elapsed();
    println!(
        "{all} entries of {PARTITIONS} partitions in {took:?}: {:.0} a second",
        all as f64 / took.as_secs_f64()
    );
    assert!(stage.archive.counted().inserted == all);
    archiver.stop().await;
}

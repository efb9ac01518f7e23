//! Who owns what: workers that stop hand over, workers that die are replaced, workers that stood
//! still do no harm, and those with nothing to do stand by.

use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, eventually};
use chinwag_tests::http;
use chinwag_tests::process::Process;
use serde_json::Value;

use crate::user::{PATIENCE, User};

/// How many partitions a worker of a role has.
fn share(worker: &Process, role: &str) -> Option<u64> {
    let (_, metrics) = http::text(&format!("{}/metrics", worker.admin)).ok()?;
    let name = format!("chinwag_worker_partitions{{role=\"{role}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line?.parse().ok()
}

/// Waits until workers of a role have so many partitions each.
fn shares(workers: &[(&Process, u64)], role: &str, within: Duration) {
    eventually("the shares are so", within, || {
        let mut all = workers.iter();
        all.all(|(worker, count)| share(worker, role) == Some(*count))
            .then_some(())
    })
    .unwrap_or_else(|error| {
        let logs: Vec<String> = workers.iter().map(|(worker, _)| worker.log()).collect();
        panic!("{error}\n{}", logs.join("\n"))
    });
}

/// Two workers of a role that share the partitions.
fn pair(cluster: &Cluster, role: &str) -> (Process, Process) {
    let (one, two) = (cluster.start(role).unwrap(), cluster.start(role).unwrap());
    eventually("they share", PATIENCE, || {
        let (one, two) = (share(&one, role)?, share(&two, role)?);
        (one > 0 && two > 0 && one + two == 64).then_some(())
    })
    .unwrap();
    (one, two)
}

/// When a worker said something last, in microseconds of the day.
fn said(worker: &Process, message: &str) -> u64 {
    let log = worker.log();
    let lines = log.lines().rev();
    let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["message"] == message);
    let line = line.unwrap_or_else(|| panic!("{message:?} is not in\n{log}"));
    let time = line["timestamp"].as_str().unwrap();
    let clock = time.split(['T', 'Z']).nth(1).unwrap();
    let mut parts = clock
        .split([':', '.'])
        .map(|part| part.parse::<u64>().unwrap());
    let mut next = || parts.next().unwrap();
    ((next() * 60 + next()) * 60 + next()) * 1_000_000 + next()
}

#[test]
fn a_worker_that_is_asked_to_stop_hands_over_in_less_than_a_tenth_of_a_second() {
    let cluster = Cluster::new().unwrap();
    for role in ["archiver", "fanout"] {
        let (mut one, two) = pair(&cluster, role);
        let mut pauses = Vec::new();
        // A busy machine may be late by itself, but not always.
        while pauses.iter().all(|pause| *pause >= 100_000) && pauses.len() < 5 {
            if !pauses.is_empty() {
                one = cluster.start(role).unwrap();
                eventually("it has a share", PATIENCE, || {
                    share(&one, role).filter(|share| *share > 0)
                })
                .unwrap();
            }
            assert!(one.stop().unwrap().success(), "{}", one.log());
            shares(&[(&two, 64)], role, PATIENCE);
            let (began, ended) = (
                said(&one, "handing partitions over"),
                said(&two, "took partitions"),
            );
            pauses.push(ended.saturating_sub(began));
        }
        eprintln!(
            "{role}: from letting go to the last one being taken, in microseconds: {pauses:?}"
        );
        assert!(
            pauses.iter().any(|pause| *pause < 100_000),
            "{role}: {pauses:?}"
        );
    }
}

#[test]
fn a_killed_workers_share_is_taken_in_less_than_six_seconds() {
    let cluster = Cluster::new().unwrap();
    for role in ["archiver", "fanout", "presence"] {
        let (mut one, two) = pair(&cluster, role);
        let began = Instant::now();
        one.kill();
        shares(&[(&two, 64)], role, PATIENCE);
        let took = began.elapsed();
        eprintln!("{role}: {took:?}");
        assert!(took < Duration::from_secs(6), "{role}: {took:?}");
    }
}

/// The sequences of the messages of a room that are in the archive, in order.
fn archived(cluster: &Cluster, room: &str) -> Vec<u64> {
    const ROWS: &str = "
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    \"select seq from events where room = ? and kind = 'message' order by seq\", (sys.argv[2],))
print(json.dumps([row[0] for row in rows]))
";
    let path = cluster.archive().trim_start_matches("sqlite:").to_owned();
    let rows = std::process::Command::new("python3")
        .args(["-c", ROWS, &path, room])
        .output()
        .unwrap();
    serde_json::from_slice(&rows.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archiver_that_stood_still_beyond_its_lease_does_no_harm() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let (one, two) = pair(&cluster, "archiver");
    let ann = User::join(&gateway, "ann").await;
    let mut rooms = Vec::new();
    for number in 0..8 {
        rooms.push((
            ann.make_room(&format!("Room {number}"), &[]).await,
            Vec::new(),
        ));
    }
    for round in 0..3 {
        for (room, seqs) in &mut rooms {
            seqs.push(ann.says(room, "before").await);
        }
        // In the middle of its work, perhaps.
        one.signal("STOP").unwrap();
        for (room, seqs) in &mut rooms {
            seqs.push(ann.says(room, &format!("meanwhile {round}")).await);
        }
        shares(&[(&two, 64)], "archiver", PATIENCE);
        one.signal("CONT").unwrap();
        for (room, seqs) in &mut rooms {
            seqs.push(ann.says(room, "after").await);
        }
        eventually("they share again", PATIENCE, || {
            let (one, two) = (share(&one, "archiver")?, share(&two, "archiver")?);
            (one > 0 && one + two == 64).then_some(())
        })
        .unwrap();
    }
    for (room, seqs) in rooms {
        eventually("all is archived, once", PATIENCE, || {
            (archived(&cluster, &room) == seqs).then_some(())
        })
        .unwrap();
    }
    let counts = [&one, &two].map(|archiver| {
        let (_, metrics) = http::text(&format!("{}/metrics", archiver.admin)).unwrap();
        let name = "chinwag_archive_conflicts_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map(ToOwned::to_owned)
    });
    assert_eq!(counts, [Some("0".to_owned()), Some("0".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_by_takes_over() {
    let cluster = Cluster::new().unwrap().with("redis.partitions", "1");
    let gateway = cluster.start("gateway").unwrap();
    let mut workers = vec![
        cluster.start("archiver").unwrap(),
        cluster.start("archiver").unwrap(),
    ];
    let busy = eventually("one has it and the other has nothing", PATIENCE, || {
        let shares: Vec<_> = workers.iter().map(|one| share(one, "archiver")).collect();
        match shares[..] {
            [Some(1), Some(0) | None] => Some(0),
            [Some(0) | None, Some(1)] => Some(1),
            _ => None,
        }
    })
    .unwrap();
    let ann = User::join(&gateway, "ann").await;
    let room = ann.make_room("General", &[]).await;
    let mut seqs = vec![ann.says(&room, "before").await];
    let began = Instant::now();
    workers.remove(busy).kill();
    seqs.push(ann.says(&room, "after").await);
    eventually("all is archived", PATIENCE, || {
        (archived(&cluster, &room) == seqs).then_some(())
    })
    .unwrap();
    let took = began.elapsed();
    eprintln!("taken over after {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

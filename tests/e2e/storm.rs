//! A gateway dies, and a crowd resumes at another one that knew nothing of its rooms.

use std::time::Instant;

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_protocol::reply::Outcome;
use chinwag_tests::cluster::{Cluster, register};
use chinwag_tests::http;
use chinwag_tests::process::Process;

const CLIENTS: usize = 500;
const ROOMS: usize = 10;
const EVENTS: u64 = 60;

/// How often a process has called a function of Redis.
fn calls(process: &Process, name: &str) -> u64 {
    let (_, metrics) = http::text(&format!("{}/metrics", process.admin)).unwrap();
    let start = format!("chinwag_redis_command_seconds_count{{command=\"{name}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |count| count.parse().unwrap())
}

async fn publish(connection: &mut Connection, room: usize, number: u64) {
    let id = 1_000 + number * 100 + room as u64;
    let command = format!(
        r#"{{"id":{id},"publish":{{"channel":"storm:{room}","data":{{"number":{number}}}}}}}"#
    );
    connection.send_text(command).await.unwrap();
    connection.reply(u32::try_from(id).unwrap()).await.unwrap();
}

/// Resumes all rooms after a position; what was missed must come whole.
async fn resume(options: Options, epoch: String, after: u64) {
    let (mut connection, _) = Connection::connect(&options).await.unwrap();
    for room in 0..ROOMS {
        let id = 100 + u32::try_from(room).unwrap();
        let command = format!(
            r#"{{"id":{id},"subscribe":{{"channel":"storm:{room}","recover":true,"recoverable":true,"epoch":"{epoch}","offset":{after}}}}}"#
        );
        connection.send_text(command).await.unwrap();
    }
    for room in 0..ROOMS {
        let id = 100 + u32::try_from(room).unwrap();
        let Outcome::Subscribe(answer) = connection.reply(id).await.unwrap() else {
            panic!("not subscribed");
        };
        assert!(answer.recovered, "{answer:?}");
        let offsets: Vec<u64> = answer.publications.iter().map(|one| one.offset).collect();
        assert_eq!(offsets, (after + 1..=EVENTS).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_resumes_costs_redis_a_few_calls() {
    let cluster = Cluster::new()
        .unwrap()
        .with("namespaces.storm.presence", "false")
        .with("gateway.personal_channel", "false")
        .with("gateway.commands_per_second", "0");
    let (mut doomed, gateway) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let ann = register(&gateway, "ann").unwrap();
    let at_doomed = Options::new(doomed.socket(), &ann.token);
    let (mut connection, _) = Connection::connect(&at_doomed).await.unwrap();
    let mut epoch = String::new();
    for room in 0..ROOMS {
        let command =
            format!(r#"{{"id":9,"subscribe":{{"channel":"storm:{room}","recoverable":true}}}}"#);
        connection.send_text(command).await.unwrap();
        let Outcome::Subscribe(subscribed) = connection.reply(9).await.unwrap() else {
            panic!("not subscribed");
        };
        epoch = subscribed.epoch;
    }
    for number in 1..=EVENTS {
        for room in 0..ROOMS {
            publish(&mut connection, room, number).await;
        }
    }
    doomed.kill();
    let began = Instant::now();
    let before = calls(&gateway, "resume");
    let crowd: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let options = Options::new(gateway.socket(), &ann.token);
            // Each was at another place when it was cut.
            let after = EVENTS - 1 - number as u64 % 40;
            tokio::spawn(resume(options, epoch.clone(), after))
        })
        .collect();
    for one in crowd {
        one.await.unwrap();
    }
    let calls = calls(&gateway, "resume") - before;
    eprintln!(
        "{CLIENTS} clients resumed {ROOMS} rooms in {:?}: {calls} calls of resume",
        began.elapsed()
    );
    assert!(calls > 0, "the count is of something else");
    assert!(calls <= 3 * ROOMS as u64, "{calls} calls");
}

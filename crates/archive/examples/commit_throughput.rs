//! Measures how many events a second an archive takes, and how long it takes to read them back.
//!
//! ```sh
//! cargo run --release -p chinwag-archive --example commit_throughput -- sqlite:/tmp/measure.db
//! cargo run --release -p chinwag-archive --example commit_throughput -- postgres://... 200000 500
//! ```
//!
//! So many chat messages of a dozen words, evenly over 1000 rooms (which is the worst case for
//! pages on disk), in batches of so many: from one partition, then from sixteen at a time. The
//! archive should be an empty one: nothing is removed from it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for the terminal"
)]

use std::time::{Duration, Instant};

use chinwag_archive::{Archive, Commit, Query, Range, Row, Search, open};
use chinwag_protocol::event::{Content, Event};
use chinwag_protocol::id::{ClientId, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;
use futures_util::future::join_all;

const ROOMS: u64 = 1000;
const WORDS: &str = "the meeting about release notes moved to Thursday morning because half of us \
    will be on a train 我们明天去上海开会 please bring your laptop tickets and café vouchers ok 👍 \
    deploy finished without errors but latency went up again see dashboard for details thanks";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let url = arguments.get(1).expect("an archive's URL");
    let total = arguments
        .get(2)
        .map_or(200_000, |count| count.parse().unwrap());
    let archive = open(url).await.unwrap();
    let batch = arguments.get(3).map_or(500, |count| count.parse().unwrap());
    let mut base = 0;
    for writers in [1, 16] {
        write(
            archive.as_ref(),
            writers,
            total / batch / writers,
            batch,
            base,
        )
        .await;
        base += total / ROOMS + batch;
    }
    read(archive.as_ref()).await;
}

async fn write(archive: &dyn Archive, writers: u64, batches: u64, batch: u64, base: u64) {
    let made: Vec<Vec<Vec<Row>>> = (0..writers)
        .map(|writer| {
            (0..batches)
                .map(|turn| rows(writer, writers, turn, batch, base))
                .collect()
        })
        .collect();
    let begun = Instant::now();
    let commits = made
        .iter()
        .zip(0u16..)
        .map(|(batches, partition)| async move {
            let mut times = Vec::new();
            for rows in batches {
                let begun = Instant::now();
                let commit = Commit {
                    partition,
                    token: 1,
                    epoch: 1,
                    rows,
                    upto: "1-1",
                };
                let committed = archive.commit(commit).await.unwrap();
                assert_eq!(committed.inserted, rows.len());
                times.push(begun.elapsed());
            }
            times
        });
    let times: Vec<Duration> = join_all(commits).await.concat();
    let rate = (batches * batch * writers) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{writers:>2} writers: {rate:>7.0} rows/s, a commit of {batch}: {}",
        quantiles(times)
    );
}

/// A batch of one writer: every room of its partition in turn, each with dense sequences.
fn rows(writer: u64, writers: u64, turn: u64, batch: u64, base: u64) -> Vec<Row> {
    let rooms = ROOMS / writers;
    let numbers = turn * batch..(turn + 1) * batch;
    numbers
        .map(|number| row(writer * rooms + number % rooms, base + number / rooms + 1))
        .collect()
}

fn row(room: u64, seq: u64) -> Row {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let chosen = (0..12)
        .map(|at| words[usize::try_from(room * 7 + seq * 3 + at * at).unwrap() % words.len()]);
    let text = format!("{} {seq}", chosen.collect::<Vec<_>>().join(" "));
    Row {
        room: RoomId::new(format!("room:abcdefghijklmnopqrst{room:06}")).unwrap(),
        event: Event {
            seq,
            epoch: 1,
            time: 1_732_000_000_000 + seq,
            messages: seq,
            sender: Some(UserId::new(format!("user{}", seq % 50)).unwrap()),
            client: Some(
                ClientId::new(format!("0193b3f0-0000-7000-8000-{:012}", seq % 50)).unwrap(),
            ),
            id: Some(uuid(seq * ROOMS + room)),
            content: Content::Message {
                body: Json::of(&serde_json::json!({ "text": text })),
            },
        },
    }
}

/// As clients make them: version 7, in the order of time but for the last bits.
fn uuid(number: u64) -> MessageId {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let time = 0x0193_b3f0_0000 + number / 20;
    let (high, low) = (time >> 16, time & 0xffff);
    let text = format!(
        "{high:08x}-{low:04x}-7{:03x}-8000-{:012x}",
        random >> 52,
        random & 0xffff_ffff_ffff
    );
    MessageId::new(text).unwrap()
}

async fn read(archive: &dyn Archive) {
    let rooms: Vec<RoomId> = (0..300).map(|room| row(room, 1).room).collect();
    let mut times = Vec::new();
    for room in &rooms {
        let begun = Instant::now();
        assert_eq!(
            archive
                .page(room, Range::before(90, 50))
                .await
                .unwrap()
                .len(),
            50
        );
        times.push(begun.elapsed());
    }
    println!("a page of 50: {}", quantiles(times));
    for text in ["上海", "vouchers", "\"half of us\"", "the 77", "的"] {
        let query = Query::parse(text).unwrap();
        for rooms in [&rooms[..1], &rooms[..100], &rooms[..]] {
            let begun = Instant::now();
            let search = Search {
                rooms,
                query: &query,
                limit: 20,
                before: None,
            };
            let found = archive.search(search).await.unwrap().matches.len();
            let (count, took) = (rooms.len(), begun.elapsed());
            println!("{text} in {count} rooms: {found} found in {took:.1?}");
        }
    }
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!(
        "p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        at(50),
        at(99),
        at(100)
    )
}

//! Pages of history, across ring and archive.

use serde_json::{Value, json};

use crate::support::{Person, Server, seqs};

/// A room with events 1 to `top` (two of them its beginning), of which the ring has lost most to
/// the archive.
async fn long_room(server: &Server, top: u64) -> (Person, String) {
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Long"})).await;
    for seq in 3..=top {
        let said = server.say(&ann, &id, &format!("event {seq}")).await;
        assert_eq!(said, seq);
        if seq % 25 == 0 {
            server.archive_all().await;
        }
    }
    (ann, id)
}

async fn page(server: &Server, who: &Person, room: &str, query: &str) -> Value {
    let path = format!("/v1/rooms/{room}/messages?{query}");
    server.get(who, &path).await.is(200)
}

fn span(page: &Value) -> (Option<u64>, Option<u64>, bool, bool) {
    let seqs = seqs(page);
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{seqs:?}"
    );
    assert_eq!(page.get("gaps"), None);
    let flag = |name: &str| page[name].as_bool().unwrap();
    (
        seqs.first().copied(),
        seqs.last().copied(),
        flag("has_before"),
        flag("has_after"),
    )
}

#[tokio::test]
async fn pages_cross_from_ring_to_archive_without_a_seam() {
    let server = Server::start().await;
    let (ann, id) = long_room(&server, 110).await;
    let ring = server.ring(&id).await;
    assert!(*ring.first().unwrap() > 60, "the ring was cut: {ring:?}");
    for (query, expected) in [
        ("", (Some(61), Some(110), true, false)),
        ("limit=110", (Some(1), Some(110), false, false)),
        ("limit=109", (Some(2), Some(110), true, false)),
        ("limit=200", (Some(1), Some(110), false, false)),
        ("limit=1", (Some(110), Some(110), true, false)),
        ("before=111&limit=3", (Some(108), Some(110), true, false)),
        ("before=95&limit=30", (Some(65), Some(94), true, true)),
        ("before=31&limit=30", (Some(1), Some(30), false, true)),
        ("before=32&limit=30", (Some(2), Some(31), true, true)),
        ("before=1", (None, None, false, true)),
        ("after=0&limit=10", (Some(1), Some(10), false, true)),
        ("after=60&limit=50", (Some(61), Some(110), true, false)),
        ("after=60&limit=49", (Some(61), Some(109), true, true)),
        ("after=110", (None, None, true, false)),
        ("around=70&limit=21", (Some(60), Some(80), true, true)),
        ("around=1&limit=10", (Some(1), Some(10), false, true)),
        (
            "around=9007199254740991&limit=10",
            (Some(101), Some(110), true, false),
        ),
    ] {
        let page = page(&server, &ann, &id, query).await;
        assert_eq!(span(&page), expected, "{query}");
        assert_eq!(
            (&page["seq"], &page["epoch"]),
            (&json!(110), &json!("1")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn leafing_back_brings_every_event_once_while_the_archiver_works() {
    let server = Server::start().await;
    let (ann, id) = long_room(&server, 70).await;
    let (mut found, mut before) = (Vec::new(), String::new());
    let mut round = 0;
    loop {
        let page = page(&server, &ann, &id, &format!("limit=9{before}")).await;
        let (first, ..) = span(&page);
        found.splice(0..0, seqs(&page));
        if !page["has_before"].as_bool().unwrap() {
            break;
        }
        before = format!("&before={}", first.unwrap());
        // Meanwhile others go on, and the ring moves.
        for number in 0..20 {
            server.say(&ann, &id, &format!("{round} {number}")).await;
        }
        server.archive_all().await;
        round += 1;
    }
    assert_eq!(found, (1..=70).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_reads_the_same_from_ring_and_archive() {
    let server = Server::start().await;
    let (ann, id) = long_room(&server, 30).await;
    let live = page(&server, &ann, &id, "limit=200").await;
    server.archive_all().await;
    server.lose_ring(&id);
    let archived = page(&server, &ann, &id, "limit=200").await;
    assert_eq!(live, archived);
}

#[tokio::test]
async fn events_that_are_gone_are_a_gap_that_is_told() {
    let server = Server::start().await;
    let (ann, id) = long_room(&server, 10).await;
    // Neither archived nor in the ring any more.
    server.lose_ring(&id);
    for seq in 11..=15 {
        server.say(&ann, &id, &format!("event {seq}")).await;
    }
    let page = page(&server, &ann, &id, "limit=8").await;
    assert_eq!(seqs(&page), (11..=15).collect::<Vec<_>>());
    assert_eq!(page["gaps"], json!([{"from": 8, "to": 10}]));
    assert_eq!(
        (&page["has_before"], &page["has_after"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn a_heavy_page_is_cut_to_size_and_says_that_there_is_more() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let id = server.room(&ann, json!({"name": "Heavy"})).await;
    let heavy = "x".repeat(32_000);
    for _ in 0..12 {
        server.say(&ann, &id, &heavy).await;
    }
    let newest = page(&server, &ann, &id, "").await;
    assert_eq!(span(&newest), (Some(7), Some(14), true, false));
    let oldest = page(&server, &ann, &id, "after=0").await;
    assert_eq!(span(&oldest), (Some(1), Some(10), false, true));
    let middle = page(&server, &ann, &id, "around=8").await;
    let (first, last, before, after) = span(&middle);
    assert!(
        first < Some(8) && last > Some(8) && before && after,
        "{first:?} to {last:?}"
    );
}

#[tokio::test]
async fn a_channel_that_redis_forgot_is_read_from_the_archive() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    for number in 1..=5 {
        server.say(&ann, "lobby", &format!("{number}")).await;
    }
    server.archive_all().await;
    server.forget("lobby");
    let page = page(&server, &ann, "lobby", "").await;
    assert_eq!(span(&page), (Some(1), Some(5), false, false));
    assert_eq!(server.say(&ann, "lobby", "goes on").await, 6);
}

impl Server {
    /// The sequences that the ring has.
    async fn ring(&self, room: &str) -> Vec<u64> {
        let room = chinwag_protocol::id::RoomId::new(room).unwrap();
        let events = self.backend.store.ring(&room, 1, 1_000_000).await.unwrap();
        events.iter().map(|event| event.seq).collect()
    }

    fn lose_ring(&self, room: &str) {
        self.delete_keys(&format!("history:*:{room}"));
    }

    fn forget(&self, room: &str) {
        self.delete_keys(&format!("history:*:{room}"));
        self.delete_keys(&format!("room:*:{room}"));
    }

    fn delete_keys(&self, pattern: &str) {
        let mut connection = self.redis.connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(pattern)
            .query(&mut connection)
            .unwrap();
        assert_eq!(keys.len(), 1, "{pattern}");
        redis::cmd("DEL")
            .arg(keys)
            .query::<u64>(&mut connection)
            .unwrap();
    }
}

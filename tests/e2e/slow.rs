//! Readers that take less than is said, beside others that do not.

use std::time::{Duration, Instant};

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_protocol::push::Happening;
use chinwag_tests::cluster::{Account, Cluster, eventually, register};
use chinwag_tests::http;
use chinwag_tests::process::Process;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::user::{PATIENCE, User};

const SLOW: usize = 10;
const FAST: usize = 5;
const MESSAGES: u64 = 1_600;
const SENDERS: u64 = 4;

/// A client that takes as much as it is told to, and has almost no buffer for more.
struct Peer {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl Peer {
    async fn connect(gateway: &Process, account: &Account) -> Self {
        let address = gateway.public.as_deref().unwrap();
        let address = address.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let request = format!(
            "GET /connection/websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut peer = Self {
            stream,
            waiting: Vec::new(),
        };
        while !peer.waiting.ends_with(b"\r\n\r\n") {
            peer.take(1).await;
        }
        peer.waiting.clear();
        let token = &account.token;
        peer.say(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#))
            .await;
        peer
    }

    async fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        let mut frame = vec![0x81];
        if length < 126 {
            frame.push(0x80 | length);
        } else {
            frame.extend([0x80 | 126, 0, length]);
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Takes up to so many bytes.
    async fn take(&mut self, bytes: usize) {
        let mut some = vec![0; bytes];
        let count = self.stream.read(&mut some).await.unwrap();
        assert!(count > 0, "closed");
        self.waiting.extend_from_slice(&some[..count]);
    }

    /// The next line of what was taken, if a frame is whole.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let (start, length) = match self.waiting.get(1)? & 0x7f {
            126 => (
                4,
                usize::from(u16::from_be_bytes(self.waiting.get(2..4)?.try_into().ok()?)),
            ),
            127 => {
                let length = u64::from_be_bytes(self.waiting.get(2..10)?.try_into().ok()?);
                (10, usize::try_from(length).ok()?)
            }
            short => (2, usize::from(short)),
        };
        let frame = self.waiting.get(start..start + length)?.to_vec();
        self.waiting.drain(..start + length);
        Some(frame)
    }

    /// The sequences of a room in what was taken.
    async fn seqs(&mut self, room: &str) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(frame) = self.frame() {
            for line in frame.split(|byte| *byte == b'\n') {
                let reply: Value = serde_json::from_slice(line).unwrap();
                if reply.as_object().unwrap().is_empty() {
                    self.say("{}").await;
                }
                let push = &reply["push"];
                if push["channel"] == room && push["pub"]["offset"].is_u64() {
                    seqs.push(push["pub"]["offset"].as_u64().unwrap());
                }
            }
        }
        seqs
    }
}

fn metric(gateway: &Process, name: &str) -> f64 {
    let (_, metrics) = http::text(&format!("{}/metrics", gateway.admin)).unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Memory that a process has, in KiB.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Says so many messages of a kilobyte, which tell when they were said.
async fn say(gateway: &Process, account: &Account, room: &str, count: u64, epoch: Instant) {
    let senders = (0..SENDERS).map(|_| {
        let (url, account, room) = (gateway.socket(), account.clone(), room.to_owned());
        tokio::spawn(async move {
            let user = User::connect(&url, account).await;
            for _ in 0..count / SENDERS {
                let at = u64::try_from(epoch.elapsed().as_micros()).unwrap();
                let body = json!({ "at": at, "text": "x".repeat(1_000) });
                user.client
                    .send_message(room.as_str(), &body)
                    .await
                    .unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

/// Reads so many messages; how long each took, in order of that.
async fn read(url: String, account: Account, room: String, count: u64, epoch: Instant) -> Vec<u64> {
    let options = Options::new(url, &account.token);
    let (mut connection, _) = Connection::connect(&options).await.unwrap();
    let (mut times, mut last) = (Vec::new(), None);
    while (times.len() as u64) < count {
        let push = tokio::time::timeout(PATIENCE, connection.push())
            .await
            .unwrap()
            .unwrap();
        let Some(Happening::Pub(publication)) = push.happening else {
            continue;
        };
        let data: Value = serde_json::from_slice(&publication.data).unwrap();
        if push.channel != room || data["type"] != "message" {
            continue;
        }
        assert!(last.is_none_or(|last: u64| last + 1 == publication.offset));
        last = Some(publication.offset);
        let said = data["body"]["at"].as_u64().unwrap();
        times.push(
            u64::try_from(epoch.elapsed().as_micros())
                .unwrap()
                .saturating_sub(said),
        );
    }
    times.sort_unstable();
    times
}

fn at(times: &[Vec<u64>], of_hundred: usize) -> Duration {
    let mut all: Vec<u64> = times.iter().flatten().copied().collect();
    all.sort_unstable();
    Duration::from_micros(all[all.len() * of_hundred / 100])
}

async fn measured(
    gateway: &Process,
    ann: &Account,
    eve: &Account,
    room: &str,
    count: u64,
) -> Vec<Vec<u64>> {
    let epoch = Instant::now();
    let readers: Vec<_> = (0..FAST)
        .map(|_| {
            let (url, eve, room) = (gateway.socket(), eve.clone(), room.to_owned());
            tokio::spawn(read(url, eve, room, count, epoch))
        })
        .collect();
    let here = || (metric(gateway, "chinwag_gateway_connections") >= FAST as f64).then_some(());
    eventually("the readers are here", PATIENCE, here).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    say(gateway, ann, room, count, epoch).await;
    let mut times = Vec::new();
    for reader in readers {
        times.push(reader.await.unwrap());
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_and_costs_others_nothing() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.outbox_limit_bytes", "65536")
        .with("gateway.commands_per_second", "0");
    let gateway = cluster.start("gateway").unwrap();
    let _workers = cluster.workers().unwrap();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| register(&gateway, name).unwrap());
    let host = User::connect(&gateway.socket(), ann.clone()).await;
    let room = host.make_room("General", &["bob", "eve"]).await;
    let alone = measured(&gateway, &ann, &eve, &room, MESSAGES / 2).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut peer = Peer::connect(&gateway, &bob).await;
        peer.take(1).await;
        slow.push(peer);
    }
    let before = memory(&gateway);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // A kilobyte a second each, and each half a one at once.
    let slow: Vec<_> = slow
        .into_iter()
        .map(|mut peer| {
            let (stopped, room) = (stopped.clone(), room.clone());
            tokio::spawn(async move {
                let mut seqs = Vec::new();
                while !*stopped.borrow() {
                    peer.take(512).await;
                    seqs.extend(peer.seqs(&room).await);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                (peer, seqs)
            })
        })
        .collect();
    let beside = measured(&gateway, &ann, &eve, &room, MESSAGES).await;
    let after = memory(&gateway);
    let behind =
        || (metric(&gateway, "chinwag_gateway_behind_connections") >= SLOW as f64).then_some(());
    eventually("they are behind", PATIENCE, behind).unwrap();
    let last = host.says(&room, "last").await;
    stop.send(true).unwrap();
    let (alone_90, beside_90) = (at(&alone, 90), at(&beside, 90));
    eprintln!(
        "p50/p90/p99 alone {:?} {alone_90:?} {:?}, beside {SLOW} slow readers {:?} {beside_90:?} {:?}; RSS {before} -> {after} KiB",
        at(&alone, 50),
        at(&alone, 99),
        at(&beside, 50),
        at(&beside, 99)
    );
    let began = Instant::now();
    for reader in slow {
        let (mut peer, mut seqs) = reader.await.unwrap();
        while seqs.last() != Some(&last) {
            let taken = tokio::time::timeout(PATIENCE, peer.take(65_536)).await;
            taken.unwrap_or_else(|_| panic!("{:?} of {last}", seqs.last()));
            seqs.extend(peer.seqs(&room).await);
        }
        let first = seqs[0];
        assert_eq!(seqs, (first..=last).collect::<Vec<_>>());
        assert!(seqs.len() as u64 > MESSAGES, "{}", seqs.len());
    }
    eprintln!("all caught up in {:?}", began.elapsed());
    let level = || (metric(&gateway, "chinwag_gateway_behind_connections") == 0.0).then_some(());
    eventually("they are level", PATIENCE, level).unwrap();
    assert!(
        beside_90 < 4 * alone_90 + Duration::from_millis(200),
        "{alone_90:?} {beside_90:?}"
    );
    assert!(after < before + 24 * 1024, "{before} -> {after} KiB");
    let cut = metric(&gateway, "chinwag_gateway_disconnects_total{code=\"3008\"}");
    assert!(cut == 0.0, "{cut} were cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_closed_and_who_takes_little_is_not() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.outbox_limit_bytes", "65536")
        .with("gateway.stalled_seconds", "3")
        .with("gateway.commands_per_second", "0");
    let gateway = cluster.start("gateway").unwrap();
    let [ann, bob] = ["ann", "bob"].map(|name| register(&gateway, name).unwrap());
    let host = User::connect(&gateway.socket(), ann.clone()).await;
    let room = host.make_room("General", &["bob"]).await;
    let _stalled = Peer::connect(&gateway, &bob).await;
    let mut slow = Peer::connect(&gateway, &bob).await;
    slow.take(1).await;
    let (id, token) = (ann.id.clone(), ann.token.clone());
    let (url, room_said) = (gateway.socket(), room.clone());
    let talk = tokio::spawn(async move {
        let user = User::connect(&url, Account { id, token }).await;
        for _ in 0..300 {
            let body = json!({ "text": "x".repeat(1_000) });
            user.client
                .send_message(room_said.as_str(), &body)
                .await
                .unwrap();
        }
    });
    let cut = || metric(&gateway, "chinwag_gateway_disconnects_total{code=\"3008\"}");
    let began = Instant::now();
    let mut taken = 0;
    while cut() == 0.0 || began.elapsed() < Duration::from_secs(8) {
        assert!(began.elapsed() < PATIENCE, "nobody was closed");
        slow.take(4_096).await;
        taken += slow.seqs(&room).await.len();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    talk.await.unwrap();
    assert!(cut() == 1.0 && taken > 0, "{} {taken}", cut());
}

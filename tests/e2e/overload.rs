//! Too much of anything gets an answer, and what comes after it is served again.

use std::io::Write;
use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::raw::{Raw, dial, opcode, rest};
use serde_json::json;

use crate::user::PATIENCE;

/// The `Retry-After` of an answer that must be a 503.
#[track_caller]
fn retry_after(answer: &str) -> u64 {
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let lines = answer.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix("retry-after: "));
    values
        .next()
        .unwrap_or_else(|| panic!("{answer}"))
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn who_connects_and_says_nothing_takes_no_place_for_long() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.handshake_timeout_ms", "1000")
        .with("gateway.connect_timeout_ms", "1000")
        .with("gateway.max_pending_per_address", "3");
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let began = Instant::now();
    // One says nothing, one half a request, one upgrades and does not say who it is.
    let silent = dial(&gateway).unwrap();
    let mut slow = dial(&gateway).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut unknown = Raw::open(&gateway).unwrap().unwrap();
    let mut answer = String::new();
    eventually("a refusal", PATIENCE, || {
        answer = rest(dial(&gateway).unwrap());
        answer.starts_with("HTTP/1.1 503").then_some(())
    })
    .unwrap();
    assert!((1..=5).contains(&retry_after(&answer)), "{answer}");
    assert!(
        answer.contains("too many are connecting from this address"),
        "{answer}"
    );
    drop(rest(silent));
    drop(rest(slow));
    assert_eq!(unknown.until_closed().unwrap().1, 3502);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // Sessions do not count, however many there are.
    let sessions = (0..10).map(|_| {
        eventually("a session", PATIENCE, || {
            Raw::connect(&gateway, &ann.token).ok()
        })
        .unwrap()
    });
    assert_eq!(sessions.collect::<Vec<_>>().len(), 10);
}

#[test]
fn a_crowd_gets_in_at_the_pace_each_told_when_to_come_again() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.connects_per_second", "10")
        .with("gateway.connects_burst", "5");
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let mut inside = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    let began = Instant::now();
    for _ in 0..60 {
        match Raw::open(&gateway).unwrap() {
            Ok(raw) => inside.push(raw),
            Err(answer) => drop(told.insert(retry_after(&answer))),
        }
    }
    let most = 5 + 10 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1);
    assert!((5..=most).contains(&inside.len()), "{}", inside.len());
    assert!(told.len() > 2, "not all at the same moment: {told:?}");
    // Whoever comes later is served as if nothing had been.
    eventually("a session", PATIENCE, || {
        Raw::connect(&gateway, &ann.token).ok()
    })
    .unwrap();
    assert_eq!(
        call(&gateway, "GET", "/v1/me", &ann.token, None).unwrap().0,
        200
    );
}

#[test]
fn a_full_gateway_says_so() {
    let cluster = Cluster::new().unwrap().with("gateway.max_connections", "3");
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let connect = || {
        eventually("a session", PATIENCE, || {
            Raw::connect(&gateway, &ann.token).ok()
        })
    };
    let sessions = [(); 3].map(|()| connect().unwrap());
    let answer = rest(dial(&gateway).unwrap());
    assert!((1..=5).contains(&retry_after(&answer)), "{answer}");
    assert!(answer.contains("connection_limit"), "{answer}");
    drop(sessions);
    connect().unwrap();
}

#[test]
fn floods_of_frames_end_with_a_reason() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.commands_per_second", "10");
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let flood = |how: &dyn Fn(&mut Raw)| {
        let mut raw = Raw::connect(&gateway, &ann.token).unwrap();
        how(&mut raw);
        let (said, code, reason) = raw.until_closed().unwrap();
        (said, code, reason)
    };
    let (_, code, reason) = flood(&|raw| (0..200).for_each(|_| raw.send(opcode::PING, true, b"x")));
    assert_eq!(
        (code, reason.as_str()),
        (3013, "at most 20 control frames a second")
    );
    let (_, code, reason) = flood(&|raw| {
        raw.send(opcode::TEXT, false, b"{");
        (0..200).for_each(|_| raw.send(opcode::CONTINUATION, false, b""));
    });
    assert_eq!(
        (code, reason.as_str()),
        (1008, "at most 128 fragments in a message")
    );
    for nothing in ["", "{}", "\n"] {
        let (_, code, reason) = flood(&|raw| {
            (0..400).for_each(|_| raw.send(opcode::TEXT, true, nothing.as_bytes()));
        });
        assert_eq!(
            (code, reason.as_str()),
            (3013, "at most 10 commands a second"),
            "{nothing:?}"
        );
    }
    let (said, code, _) = flood(&|raw| {
        let ping = json!({ "id": 7, "ping": {} });
        (0..400).for_each(|_| raw.say(&ping).unwrap());
    });
    assert_eq!(code, 3013);
    let refused = said
        .iter()
        .filter(|line| line.contains("\"code\":111"))
        .count();
    let answered = said.len() - refused;
    assert!((15..60).contains(&answered), "{answered} answered");
    assert!(
        (100..200).contains(&refused),
        "{refused} refused, and only then the end"
    );
    // A gateway that has seen all that serves whoever behaves.
    Raw::connect(&gateway, &ann.token).unwrap();
}

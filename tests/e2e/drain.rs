//! A gateway that stops lets its connections go at a pace, and a flood of logins leaves chat responsive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::http;
use chinwag_tests::raw::Raw;
use serde_json::json;

use crate::user::PATIENCE;

/// Of the connections in the story of the drain. `CROWD` in the environment may ask for more.
const CROWD: usize = 400;

fn crowd() -> usize {
    std::env::var("CROWD")
        .ok()
        .and_then(|crowd| crowd.parse().ok())
        .unwrap_or(CROWD)
}

#[test]
fn a_gateway_that_stops_lets_everybody_go_evenly() {
    let cluster = Cluster::new().unwrap().with("gateway.drain_seconds", "6");
    let mut gateway = cluster.start("gateway").unwrap();
    let other = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let count = crowd();
    let connections: Vec<Raw> = (0..count)
        .map(|_| Raw::connect(&gateway, &ann.token).unwrap())
        .collect();
    let admin = gateway.admin.clone();
    let began = Instant::now();
    let stages = std::thread::spawn(move || {
        eventually("a stage", PATIENCE, || {
            let said = http::text(&format!("{admin}/ready")).ok()?.1;
            said.contains("\"stage\":\"connections\"").then_some(())
        })
    });
    let waiting: Vec<_> = connections
        .into_iter()
        .map(|mut raw| {
            std::thread::spawn(move || {
                let (said, code, _) = raw.until_closed().unwrap();
                drop(said);
                assert_eq!(code, 3001);
                began.elapsed()
            })
        })
        .collect();
    assert!(gateway.stop().unwrap().success(), "{}", gateway.log());
    stages.join().unwrap().unwrap();
    let mut left: Vec<Duration> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
    left.sort_unstable();
    let (first, last) = (left[0], left[count - 1]);
    let tenths: Vec<usize> = (0..10)
        .map(|tenth| {
            let within = |at: &&Duration| {
                let share = (**at - first).as_secs_f64() / (last - first).as_secs_f64();
                (share * 10.0).floor().min(9.0) == f64::from(tenth)
            };
            left.iter().filter(within).count()
        })
        .collect();
    println!("{count} connections left from {first:?} to {last:?}, in tenths: {tenths:?}");
    assert!(last - first > Duration::from_secs(2), "{:?}", last - first);
    assert!(last < Duration::from_secs(7), "{last:?}");
    assert!(
        tenths
            .iter()
            .all(|tenth| *tenth >= count / 40 && *tenth <= count / 4),
        "{tenths:?}"
    );
    assert!(
        gateway.log().contains("letting connections go"),
        "{}",
        gateway.log()
    );
    Raw::connect(&other, &ann.token).unwrap();
}

#[test]
fn two_signals_at_once_are_one() {
    let cluster = Cluster::new().unwrap();
    let mut gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let mut raw = Raw::connect(&gateway, &ann.token).unwrap();
    gateway.signal("TERM").unwrap();
    assert!(gateway.stop().unwrap().success(), "{}", gateway.log());
    assert_eq!(raw.until_closed().unwrap().1, 3001);
}

/// How long sending takes, in order.
fn times(raw: &mut Raw, room: &serde_json::Value, count: u32) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..count)
        .map(|number| {
            let data = json!({ "room": room, "body": number });
            let began = Instant::now();
            raw.say(&json!({ "id": 9, "rpc": { "method": "message.send", "data": data } }))
                .unwrap();
            let answer = raw.answer(9).unwrap();
            assert!(answer["rpc"].is_object(), "{answer}");
            std::thread::sleep(Duration::from_millis(5));
            began.elapsed() - Duration::from_millis(5)
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn a_flood_of_logins_leaves_chat_responsive() {
    let cluster = Cluster::new()
        .unwrap()
        .with("gateway.commands_per_second", "0");
    let gateway = Arc::new(cluster.start("gateway").unwrap());
    let ann = register(&gateway, "ann").unwrap();
    let new = json!({ "name": "Tea" });
    let (_, made) = call(&gateway, "POST", "/v1/rooms", &ann.token, Some(&new)).unwrap();
    let room = &made["room"]["id"];
    let mut raw = Raw::connect(&gateway, &ann.token).unwrap();
    times(&mut raw, room, 50);
    let quiet = times(&mut raw, room, 300);
    let (stop, logins, limited) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let began = Instant::now();
    let flood: Vec<_> = (0..40)
        .map(|number| {
            let (gateway, stop) = (Arc::clone(&gateway), Arc::clone(&stop));
            let (logins, limited) = (Arc::clone(&logins), Arc::clone(&limited));
            std::thread::spawn(move || {
                let who = json!({ "name": format!("guess-{number}"), "password": "wrong horse" });
                while !stop.load(Ordering::Relaxed) {
                    let (status, _) =
                        call(&gateway, "POST", "/v1/sessions", "", Some(&who)).unwrap();
                    assert!([401, 429].contains(&status), "{status}");
                    logins.fetch_add(1, Ordering::Relaxed);
                    limited.fetch_add(usize::from(status == 429), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
        })
        .collect();
    let flooded = times(&mut raw, room, 300);
    stop.store(true, Ordering::Relaxed);
    let logins = logins.load(Ordering::Relaxed);
    let rate = logins as f64 / began.elapsed().as_secs_f64();
    for thread in flood {
        thread.join().unwrap();
    }
    println!(
        "send, p50 and p99: quiet {:?} {:?}, with {rate:.0} logins/s ({} of {logins} refused) {:?} {:?}",
        quiet[149],
        quiet[296],
        limited.load(Ordering::Relaxed),
        flooded[149],
        flooded[296],
    );
    assert!(limited.load(Ordering::Relaxed) > 0);
    // Twice the quiet one, or what nobody notices: the flood runs on the same processors.
    let most = (quiet[296] * 2).max(Duration::from_millis(60));
    assert!(
        flooded[296] <= most,
        "{:?}, quiet {:?}",
        flooded[296],
        quiet[296]
    );
}

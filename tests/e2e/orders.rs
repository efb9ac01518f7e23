//! Orders of the server API reach every connection, also of a gateway that was deaf just then.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use chinwag_tests::cluster::{API_KEY, Cluster, HMAC_SECRET, eventually, register};
use chinwag_tests::process::Process;
use chinwag_tests::raw::Raw;
use serde_json::{Value, json};

use crate::user::PATIENCE;

/// A way to Redis that can be cut and mended.
struct Wire {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    open: Vec<UnixStream>,
}

impl Wire {
    fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                let mut state = shared.lock().unwrap();
                if state.is_cut {
                    continue;
                }
                let server = UnixStream::connect(&socket).unwrap();
                state.open.push(server.try_clone().unwrap());
                let (mut one, mut other) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    drop(io::copy(&mut one, &mut other));
                    other.shutdown(std::net::Shutdown::Both)
                });
                let (mut one, mut other) = (server, client);
                std::thread::spawn(move || {
                    drop(io::copy(&mut one, &mut other));
                    other.shutdown(std::net::Shutdown::Both)
                });
            }
        });
        Self { url, state }
    }

    fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = true;
        for stream in state.open.drain(..) {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
    }

    fn mend(&self) {
        self.state.lock().unwrap().is_cut = false;
    }
}

fn api(gateway: &Process, method: &str, body: &Value) -> u16 {
    let url = format!("{}/api/{method}", gateway.public.as_deref().unwrap());
    let request = ureq::http::Request::post(url)
        .header("x-api-key", API_KEY)
        .body(body.to_string())
        .unwrap();
    ureq::Agent::new_with_defaults()
        .run(request)
        .unwrap()
        .status()
        .as_u16()
}

#[test]
fn an_order_given_while_a_gateway_is_deaf_is_obeyed_when_it_hears_again() {
    let cluster = Cluster::new().unwrap();
    let wire = Wire::to(cluster.redis.folder().join("redis.sock"));
    let near = cluster.start("gateway").unwrap();
    let secret = format!("token.hmac_secret={HMAC_SECRET}");
    let far = Process::start([
        "gateway",
        "--redis",
        &wire.url,
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--archive",
        cluster.archive(),
        "--set",
        &secret,
    ])
    .unwrap();
    let accounts = ["ann", "bob", "eve"].map(|name| register(&near, name).unwrap());
    let [mut ann, mut bob, mut eve] = accounts
        .each_ref()
        .map(|account| Raw::connect(&far, &account.token).unwrap());
    wire.cut();
    eventually("deaf", PATIENCE, || {
        let ready = chinwag_tests::http::text(&format!("{}/ready", far.admin)).ok()?;
        ready.1.contains("not listening to Redis").then_some(())
    })
    .unwrap();
    let end = json!({ "user": "ann", "disconnect": { "code": 4001, "reason": "enough" } });
    assert_eq!(api(&near, "disconnect", &end), 200);
    let subscribe = json!({ "user": "bob", "channel": "lobby" });
    assert_eq!(api(&near, "subscribe", &subscribe), 200);
    wire.mend();
    let (_, code, reason) = ann.until_closed().unwrap();
    assert_eq!((code, reason.as_str()), (4001, "enough"));
    let push = loop {
        let said = bob.hear().unwrap();
        if !said["push"]["subscribe"].is_null() {
            break said;
        }
    };
    assert_eq!(push["push"]["channel"], "lobby");
    // Whoever comes back after the order is not put out by it again, and others never were.
    let back = || Raw::connect(&far, &accounts[0].token).ok();
    let mut back = eventually("back", PATIENCE, back).unwrap();
    let end = json!({ "user": "eve", "disconnect": { "code": 4002, "reason": "" } });
    assert_eq!(api(&near, "disconnect", &end), 200);
    assert_eq!(eve.until_closed().unwrap().1, 4002);
    back.say(&json!({ "id": 5, "ping": {} })).unwrap();
    back.answer(5).unwrap();
}

#[test]
fn a_gateway_holds_only_channels_in_which_somebody_is() {
    let cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let held = || -> Vec<String> {
        let mut redis = cluster.redis.connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("held_rooms:*")
            .query(&mut redis)
            .unwrap();
        let members = |key| {
            redis::cmd("SMEMBERS")
                .arg(key)
                .query::<Vec<String>>(&mut redis)
                .unwrap()
        };
        let mut held: Vec<String> = keys.iter().flat_map(members).collect();
        held.sort();
        held
    };
    let mut one = Raw::connect(&gateway, &ann.token).unwrap();
    let mut two = Raw::connect(&gateway, &ann.token).unwrap();
    for raw in [&mut one, &mut two] {
        raw.say(&json!({ "id": 2, "subscribe": { "channel": "lobby" } }))
            .unwrap();
        raw.answer(2).unwrap();
    }
    assert_eq!(held(), ["#ann", "lobby"]);
    one.say(&json!({ "id": 3, "unsubscribe": { "channel": "lobby" } }))
        .unwrap();
    one.answer(3).unwrap();
    assert_eq!(held(), ["#ann", "lobby"], "there is another");
    drop(two);
    eventually("let go", PATIENCE, || (held() == ["#ann"]).then_some(())).unwrap();
    drop(one);
    eventually("let go", PATIENCE, || held().is_empty().then_some(())).unwrap();
}

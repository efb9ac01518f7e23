//! Redis loses its last writes, or all of them, or is not told who went; and everybody is shown as
//! what they are, without being disconnected.

use std::process::Command;
use std::time::Duration;

use chinwag_client::request::Subscription;
use chinwag_tests::cluster::{Account, Cluster, HMAC_SECRET, call, eventually, register};
use chinwag_tests::http;
use chinwag_tests::process::Process;
use chinwag_tests::raw::Raw;
use serde_json::json;

use crate::user::{PATIENCE, User};

/// How long anybody may be shown as something else than they are.
const PROMISE: Duration = Duration::from_secs(17);

/// A Redis, a gateway, a presence worker, and Ann, who looks who is there.
struct Scene {
    cluster: Cluster,
    gateway: Process,
    worker: Process,
    ann: User,
}

impl Scene {
    async fn new() -> Self {
        let cluster = Cluster::new().unwrap();
        let gateway = cluster.start("gateway").unwrap();
        let worker = cluster.start("presence").unwrap();
        let ann = comes(&gateway, register(&gateway, "ann").unwrap()).await;
        Self {
            cluster,
            gateway,
            worker,
            ann,
        }
    }

    #[track_caller]
    fn becomes(&self, user: &str, online: bool) {
        let what = format!("{user} is online: {online}");
        let (path, token) = (format!("/v1/users/{user}"), &self.ann.account.token);
        let shown = eventually(&what, PROMISE, || {
            let (_, answer) = call(&self.gateway, "GET", &path, token, None).ok()?;
            (answer["user"]["online"] == online).then_some(())
        });
        let logs = || format!("{}{}", self.gateway.log(), self.worker.log());
        assert!(shown.is_ok(), "{shown:?}\n{}", logs());
    }

    /// How many are in the lobby beside Ann, sooner or later.
    async fn lobby(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + PROMISE;
        loop {
            let there = self.ann.client.presence("lobby").await;
            let there = there.map(|answer| answer.presence.len().saturating_sub(1));
            if there.as_ref().is_ok_and(|there| *there == count) {
                return;
            }
            let now = tokio::time::Instant::now();
            assert!(now < deadline, "{there:?} in the lobby, and not {count}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many sessions Redis believes that somebody has.
    fn sessions(&self, user: &str) -> u64 {
        let mut redis = self.cluster.redis.connection().unwrap();
        let pattern = format!("sessions:*:{user}");
        let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut redis).unwrap();
        let mut count = |key| redis::cmd("HLEN").arg(key).query::<u64>(&mut redis);
        keys.iter().map(|key| count(key).unwrap()).sum()
    }

    /// How often the gateway has said anew whom it has, and why.
    fn renames(&self, reason: &str) -> u64 {
        let (_, metrics) = http::text(&format!("{}/metrics", self.gateway.admin)).unwrap();
        let name = format!("chinwag_gateway_renames_total{{reason=\"{reason}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    fn config(&self, name: &str, value: &str) {
        let mut redis = self.cluster.redis.connection().unwrap();
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg(name).arg(value);
        command.query::<()>(&mut redis).unwrap();
    }

    fn nobody_was_put_out(&self) {
        let (_, metrics) = http::text(&format!("{}/metrics", self.gateway.admin)).unwrap();
        let closed = |line: &&str| {
            line.starts_with("chinwag_gateway_disconnects_total")
                && !line.contains("\"gone\"")
                // To begin anew behind what was taken back is another matter.
                && !line.contains("\"3010\"")
                // Who goes without a word was not put out either.
                && !line.contains("\"other\"")
                && !line.ends_with(" 0")
        };
        let closed: Vec<&str> = metrics.lines().filter(closed).collect();
        assert!(closed.is_empty(), "{closed:?}");
    }
}

/// Somebody who is connected and in the lobby.
async fn comes(gateway: &Process, account: Account) -> User {
    let user = User::connect(&gateway.socket(), account).await;
    let lobby = user.client.subscribe("lobby", Subscription::default());
    lobby.await.unwrap();
    user
}

#[tokio::test(flavor = "multi_thread")]
async fn who_went_in_what_redis_lost_is_not_shown_for_ever() {
    let mut scene = Scene::new().await;
    let account = register(&scene.gateway, "bob").unwrap();
    let bob = comes(&scene.gateway, account).await;
    scene.becomes("bob", true);
    scene.lobby(1).await;
    let size = scene.cluster.redis.written().unwrap();
    drop(bob);
    scene.becomes("bob", false);
    scene.lobby(0).await;
    // The worker stands still, so that it can be seen that there is a ghost.
    scene.worker.signal("STOP").unwrap();
    scene.cluster.redis.restart_with(size).unwrap();
    assert_eq!(scene.sessions("bob"), 1);
    scene.worker.signal("CONT").unwrap();
    scene.becomes("bob", false);
    scene.lobby(0).await;
    assert_eq!(scene.sessions("bob"), 0);
    scene.becomes("ann", true);
    scene.nobody_was_put_out();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_in_what_redis_lost_is_shown_all_the_same() {
    let mut scene = Scene::new().await;
    let account = register(&scene.gateway, "bob").unwrap();
    let size = scene.cluster.redis.written().unwrap();
    let _bob = comes(&scene.gateway, account).await;
    scene.becomes("bob", true);
    scene.lobby(1).await;
    for round in 1..=3 {
        scene.cluster.redis.restart_with(size).unwrap();
        let again = || (scene.renames("lost") >= round).then_some(());
        eventually("it is said again", PROMISE, again).unwrap();
        scene.becomes("bob", true);
        scene.lobby(1).await;
        scene.becomes("ann", true);
    }
    scene.nobody_was_put_out();
}

/// A token of a host, good for an hour.
fn vouched(user: &str) -> String {
    const SIGN: &str = "
import base64, hashlib, hmac, json, sys, time
code = lambda data: base64.urlsafe_b64encode(data).rstrip(b'=')
claims = {'sub': sys.argv[2], 'exp': int(time.time()) + 3600}
text = code(json.dumps({'alg': 'HS256'}).encode()) + b'.' + code(json.dumps(claims).encode())
print((text + b'.' + code(hmac.new(sys.argv[1].encode(), text, hashlib.sha256).digest())).decode())
";
    let made = Command::new("python3")
        .args(["-c", SIGN, HMAC_SECRET, user])
        .output()
        .unwrap();
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_emptied_only_those_go_whose_accounts_are_gone() {
    let mut scene = Scene::new().await;
    let mut zoe = Raw::connect(
        &scene.gateway,
        &register(&scene.gateway, "zoe").unwrap().token,
    )
    .unwrap();
    let [eve, bob] = ["eve", "bob"].map(|user| Account {
        id: user.to_owned(),
        token: vouched(user),
    });
    scene.ann = comes(&scene.gateway, eve).await;
    let _bob = comes(&scene.gateway, bob).await;
    scene.becomes("bob", true);
    let mut redis = scene.cluster.redis.connection().unwrap();
    redis::cmd("FLUSHALL").query::<()>(&mut redis).unwrap();
    let again = || (scene.renames("lost") > 0).then_some(());
    eventually("it is said again", PROMISE, again).unwrap();
    assert_eq!(zoe.until_closed().unwrap().1, 3500, "log in again");
    scene.becomes("bob", true);
    scene.becomes("eve", true);
    scene.lobby(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_while_redis_takes_no_word_of_it_is_no_ghost() {
    let scene = Scene::new().await;
    let account = register(&scene.gateway, "bob").unwrap();
    let bob = comes(&scene.gateway, account).await;
    scene.becomes("bob", true);
    scene.config("min-replicas-to-write", "1");
    drop(bob);
    let failed = || {
        scene
            .gateway
            .log()
            .contains("cannot end a session")
            .then_some(())
    };
    eventually("the word is not taken", PATIENCE, failed).unwrap();
    assert_eq!(scene.sessions("bob"), 1);
    scene.config("min-replicas-to-write", "0");
    scene.becomes("bob", false);
    scene.lobby(0).await;
    assert_eq!(scene.renames("undone"), 1);
    scene.nobody_was_put_out();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stood_still_beyond_its_lease_says_again_whom_it_has() {
    let cluster = Cluster::new().unwrap().with("presence.lease_ms", "2000");
    let (still, gateway) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let worker = cluster.start("presence").unwrap();
    let account = register(&gateway, "bob").unwrap();
    let mut bob = Raw::connect(&still, &account.token).unwrap();
    let ann = User::join(&gateway, "ann").await;
    let scene = Scene {
        cluster,
        gateway,
        worker,
        ann,
    };
    scene.becomes("bob", true);
    still.signal("STOP").unwrap();
    scene.becomes("bob", false);
    still.signal("CONT").unwrap();
    scene.becomes("bob", true);
    bob.say(&json!({ "id": 7, "rpc": { "method": "user.get", "data": { "user": "ann" } } }))
        .unwrap();
    assert!(bob.answer(7).unwrap()["error"].is_null());
}

//! Redis goes away and comes back while people are connected.

use std::time::{Duration, Instant};

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_client::error::Error;
use chinwag_tests::cluster::{Cluster, eventually, register};
use serde_json::json;

use crate::user::PATIENCE;

const SUBSCRIBE: &str = r#"{"id":7,"subscribe":{"channel":"lobby"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_subscription_is_refused_in_time_and_succeeds_later() {
    let mut cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let account = register(&gateway, "ann").unwrap();
    let options = Options::new(gateway.socket(), &account.token);
    let (mut connection, _) = Connection::connect(&options).await.unwrap();
    cluster.redis.kill();
    // Until the gateway knows, and waits for a connection.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    connection.send_text(SUBSCRIBE).await.unwrap();
    let refused = connection.reply(7).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            Error::Reply {
                code: 100,
                temporary: true,
                ..
            }
        ),
        "{refused}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    cluster.redis.restart().unwrap();
    let began = Instant::now();
    loop {
        connection.send_text(SUBSCRIBE).await.unwrap();
        match connection.reply(7).await {
            Ok(_) => break,
            Err(error) if began.elapsed() > PATIENCE => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_taken_back_while_nobody_listened_is_noticed() {
    let mut cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let [ann, bob] = ["ann", "bob"].map(|name| register(&gateway, name).unwrap());
    let options = Options::new(gateway.socket(), &ann.token);
    let (mut connection, _) = Connection::connect(&options).await.unwrap();
    let options = Options::new(gateway.socket(), &bob.token);
    let (mut other, _) = Connection::connect(&options).await.unwrap();
    // As logging out does; what it tells the gateways is lost.
    let mut redis = cluster.redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("tokens:*:ann")
        .query(&mut redis)
        .unwrap();
    redis::cmd("DEL")
        .arg(&keys[0])
        .query::<u64>(&mut redis)
        .unwrap();
    cluster.redis.restart().unwrap();
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    assert_eq!(closed.unwrap().unwrap().code, 3500);
    other
        .send_text(r#"{"id":7,"rpc":{"method":"user.get","data":{"user":"ann"}}}"#)
        .await
        .unwrap();
    other.reply(7).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_redis_has_lost_is_known_again() {
    let mut cluster = Cluster::new().unwrap();
    let gateway = cluster.start("gateway").unwrap();
    let ann = register(&gateway, "ann").unwrap();
    let options = Options::new(gateway.socket(), &ann.token);
    let (_connection, _) = Connection::connect(&options).await.unwrap();
    let count = |redis: &chinwag_tests::redis::Redis| -> usize {
        let mut redis = redis.connection().unwrap();
        let keys = redis::cmd("KEYS").arg("sessions:*:ann").query(&mut redis);
        let keys: Vec<String> = keys.unwrap();
        for key in &keys {
            redis::cmd("DEL").arg(key).query::<u64>(&mut redis).unwrap();
        }
        keys.len()
    };
    assert_eq!(count(&cluster.redis), 1);
    cluster.redis.restart().unwrap();
    let known = || (count(&cluster.redis) == 1).then_some(());
    eventually("the session is known", PATIENCE, known).unwrap();
}

#[test]
fn who_is_being_answered_when_a_gateway_stops_gets_the_answer() {
    let cluster = Cluster::new().unwrap();
    let mut gateway = cluster.start("gateway").unwrap();
    let url = format!("{}/v1/users", gateway.public.as_deref().unwrap());
    let asking = [1, 2, 3, 4, 5, 6, 7, 8].map(|number| {
        let url = url.clone();
        std::thread::spawn(move || {
            let body = json!({ "name": format!("user-{number}"), "password": "correct horse" });
            chinwag_tests::http::call("POST", &url, "", Some(&body))
        })
    });
    // Long enough to be asked, too short for hashing so many passwords.
    std::thread::sleep(Duration::from_millis(100));
    assert!(gateway.stop().unwrap().success(), "{}", gateway.log());
    for answer in asking {
        assert_eq!(answer.join().unwrap().unwrap().0, 201);
    }
}

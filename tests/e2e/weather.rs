//! Redis goes away and comes back while people are connected.

use std::time::{Duration, Instant};

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_client::error::Error;
use chinwag_tests::cluster::{Cluster, register};

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

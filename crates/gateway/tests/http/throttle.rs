//! Guessing passwords, and keeping the hashing busy.

use serde_json::json;

use crate::support::{PASSWORD, Server, config};

async fn attempt(server: &Server, name: &str, password: &str, from: &str) -> (u16, String) {
    let credentials = json!({"name": name, "password": password});
    let ask = server.ask("POST", "/v1/sessions").from(from);
    let answer = ask.json(&credentials).await;
    (
        answer.status.as_u16(),
        answer.header("retry-after").to_owned(),
    )
}

#[tokio::test]
async fn an_account_is_not_for_guessing() {
    let server = Server::start().await;
    server.person("ann").await;
    for _ in 0..10 {
        assert_eq!(attempt(&server, "ann", "wrong", "127.0.0.1").await.0, 401);
    }
    let (status, wait) = attempt(&server, "ann", PASSWORD, "192.0.2.1").await;
    assert_eq!(status, 429);
    assert!((1..=12).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    // Whether there is such an account makes no difference.
    for _ in 0..10 {
        assert_eq!(
            attempt(&server, "nobody", "wrong", "127.0.0.1").await.0,
            401
        );
    }
    assert_eq!(
        attempt(&server, "nobody", "wrong", "127.0.0.1").await.0,
        429
    );
}

#[tokio::test]
async fn an_address_is_not_for_guessing_either() {
    let server = Server::start().await;
    server.person("ann").await;
    let mut wrong = 0;
    // On a busy machine guesses take so long that some are given back meanwhile.
    while attempt(&server, &format!("user{wrong}"), "wrong", "192.0.2.1")
        .await
        .0
        == 401
    {
        wrong += 1;
    }
    assert!((30..60).contains(&wrong), "{wrong}");
    assert_eq!(attempt(&server, "ann", PASSWORD, "192.0.2.1").await.0, 429);
    assert_eq!(attempt(&server, "ann", PASSWORD, "192.0.2.2").await.0, 201);
    // A client that says it is another is still the one that the proxy saw.
    let credentials = json!({"name": "ann", "password": PASSWORD});
    let ask = server.ask("POST", "/v1/sessions").from("10.0.0.1");
    let ask = ask.header("x-forwarded-for", "192.0.2.9, 192.0.2.1");
    ask.json(&credentials).await.is(429);
}

#[tokio::test]
async fn who_knows_the_password_may_come_as_often_as_they_like() {
    let server = Server::start().await;
    server.person("ann").await;
    for _ in 0..40 {
        assert_eq!(attempt(&server, "ann", PASSWORD, "192.0.2.1").await.0, 201);
    }
}

#[tokio::test]
async fn a_crowd_that_logs_in_is_told_to_queue_up() {
    let mut config = config();
    (config.hash_parallelism, config.hash_queue) = (1, 1);
    let server = Server::with(config).await;
    server.person("ann").await;
    let attempts = (0..8).map(|_| attempt(&server, "ann", PASSWORD, "127.0.0.1"));
    let outcomes = futures_util::future::join_all(attempts).await;
    let count = |status| {
        outcomes
            .iter()
            .filter(|outcome| outcome.0 == status)
            .count()
    };
    assert_eq!((count(201), count(429)), (2, 6), "{outcomes:?}");
}

#[tokio::test]
async fn a_user_asks_no_faster_over_http_than_over_a_socket() {
    let mut config = config();
    config.commands_per_second = 5;
    let server = Server::with(config).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let mut refused = Vec::new();
    for _ in 0..30 {
        let answer = server.get(&ann, "/v1/me").await;
        if answer.status.as_u16() != 200 {
            refused.push(answer);
        }
    }
    assert!((15..=20).contains(&refused.len()), "{}", refused.len());
    let message = "at most 5 requests of a user a second";
    refused[0].fails(429, 111, "too_many_requests", message);
    assert_eq!(refused[0].header("retry-after"), "1");
    server.get(&bob, "/v1/me").await.is(200);
}

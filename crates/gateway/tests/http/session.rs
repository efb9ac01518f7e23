//! Logging in and out, and tokens of either kind.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag_protocol::id::UserId;
use chinwag_store::channel::{Heard, Order};
use ring::hmac;
use serde_json::{Value, json};

use crate::support::{Answer, HMAC_SECRET, PASSWORD, Person, Server, config};

impl Server {
    pub async fn log_in(&self, name: &str, password: &str) -> Result<Person, Answer> {
        let credentials = json!({"name": name, "password": password});
        let answer = self.ask("POST", "/v1/sessions").json(&credentials).await;
        if answer.status != 201 {
            return Err(answer);
        }
        Ok(Person {
            token: answer.json()["token"].as_str().unwrap().to_owned(),
        })
    }

    /// A user of the host's, with a token of the host's.
    pub fn guest(&self, name: &str) -> Person {
        Person {
            token: signed(&json!({"sub": name})),
        }
    }
}

pub fn signed(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, HMAC_SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let server = Server::start().await;
    server.person("ann").await;
    let wrong = server.log_in("ann", "battery staple").await.err().unwrap();
    let message = "the name or the password is wrong";
    wrong.fails(401, 101, "unauthorized", message);
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    for (name, password) in [("bob", PASSWORD), ("a", PASSWORD), ("{}", ""), ("ann", "")] {
        let other = server.log_in(name, password).await.err().unwrap();
        assert_eq!(
            (other.status, &other.text),
            (wrong.status, &wrong.text),
            "{name}"
        );
        assert_eq!(other.headers, wrong.headers, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
    let server = Server::start().await;
    server.person("ann").await;
    let mut shortest = [Duration::MAX; 2];
    let mut ratio = 0.0;
    // The shortest times tend to what the work takes, however busy the machine is.
    // Fewer than are let through before attempts are limited, which is quick for both.
    for _ in 0..9 {
        for (shortest, name) in shortest.iter_mut().zip(["ann", "bob"]) {
            let start = std::time::Instant::now();
            assert!(server.log_in(name, "battery staple").await.is_err());
            *shortest = (*shortest).min(start.elapsed());
        }
        let [known, unknown] = shortest.map(|time| time.as_secs_f64());
        ratio = known / unknown;
        if (0.5..2.0).contains(&ratio) {
            return;
        }
    }
    panic!("a wrong password takes {ratio} times as long as an unknown user");
}

#[tokio::test]
async fn logging_out_kills_the_token_and_tells_the_gateways() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let elsewhere = server.log_in("Ann", PASSWORD).await.unwrap();
    let gateway = chinwag_protocol::id::Incarnation::new("gateway").unwrap();
    let mut listener = server.backend.store.listen(10).await.unwrap();
    listener.ear().join_as_gateway(&gateway).await.unwrap();
    server.delete(&ann, "/v1/sessions/current").await.is(204);
    let dead = server.get(&ann, "/v1/me").await;
    dead.fails(401, 101, "unauthorized", "the token is not valid");
    server.get(&elsewhere, "/v1/me").await.is(200);
    let Some(Heard::Order(Order::Revoke {
        user,
        digest,
        except,
    })) = listener.heard.recv().await
    else {
        panic!("no order to revoke");
    };
    assert_eq!((user, except), (UserId::new("ann").unwrap(), None));
    assert_eq!(digest.unwrap().len(), 64);
}

#[tokio::test]
async fn a_token_runs_out() {
    let mut config = config();
    config.token_lifetime = Duration::ZERO;
    let server = Server::with(config).await;
    let ann = server.person("ann").await;
    let late = server.get(&ann, "/v1/me").await;
    late.fails(401, 109, "token_expired", "the token has expired");
}

#[tokio::test]
async fn who_shows_no_valid_token_is_told_to_log_in() {
    let server = Server::start().await;
    let none = server.ask("GET", "/v1/me").send().await;
    none.fails(401, 101, "unauthorized", "a token is needed: log in first");
    assert_eq!(none.header("www-authenticate"), "Bearer");
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer cw1.ann.x",
        "Bearer a.b.c",
    ] {
        let ask = server.ask("GET", "/v1/me").header("authorization", value);
        ask.send().await.is(401);
    }
    let stolen = format!("Bearer cw1.ann.{}", "A".repeat(43));
    let ask = server.ask("GET", "/v1/me").header("authorization", &stolen);
    ask.send()
        .await
        .fails(401, 101, "unauthorized", "the token is not valid");
}

#[tokio::test]
async fn users_of_the_host_are_there_for_others_from_their_first_visit() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    server.get(&ann, "/v1/users/Guest.7").await.is(404);
    let guest = server.guest("Guest.7");
    let me = server.get(&guest, "/v1/me").await.is(200);
    assert_eq!(
        (&me["user"]["id"], &me["user"]["name"]),
        (&json!("Guest.7"), &json!("Guest.7"))
    );
    server.get(&ann, "/v1/users/Guest.7").await.is(200);
    // Sessions and passwords of theirs are the host's business.
    let message = "this token is not chinwag's own: its issuer is in charge of it";
    let answer = server.delete(&guest, "/v1/sessions/current").await;
    answer.fails(403, 103, "permission_denied", message);
    let token = signed(&json!({"sub": "Guest.7", "exp": 1}));
    let expired = Person { token };
    let late = server.get(&expired, "/v1/me").await;
    late.fails(401, 109, "token_expired", "the token has expired");
}

#[tokio::test]
async fn without_redis_the_answer_is_to_come_back() {
    let mut server = Server::start().await;
    let ann = server.person("ann").await;
    server.redis.kill();
    let answer = server.get(&ann, "/v1/me").await;
    let message = "the token cannot be checked now; try again";
    answer.fails(503, 100, "unavailable", message);
    assert_eq!(answer.header("retry-after"), "1");
    server.redis.restart().unwrap();
    server.person("bob").await;
}

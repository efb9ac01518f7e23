//! Registering, and changing a password.

use serde_json::json;

use crate::support::{PASSWORD, Server, config};

#[tokio::test]
async fn whoever_registers_is_logged_in() {
    let server = Server::start().await;
    let account = json!({"name": "Ann", "display_name": "Ann of Cleves", "password": PASSWORD});
    let answer = server.ask("POST", "/v1/users").json(&account).await;
    let session = answer.is(201);
    assert_eq!(session["user"]["id"], "ann");
    assert_eq!(session["user"]["name"], "Ann of Cleves");
    assert_eq!(session["user"]["online"], false);
    assert_eq!(session["user"]["last_seen"], json!(null));
    let token = session["token"].as_str().unwrap();
    assert!(token.starts_with("cw1.ann."), "{token}");
    let until = session["expires_at"].as_u64().unwrap() - server.backend.store.now();
    assert!((3_590_000..=3_600_000).contains(&until), "{until}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let bearer = format!("bearer {token}");
    let me = server.ask("GET", "/v1/me").header("authorization", &bearer);
    assert_eq!(me.send().await.is(200)["user"]["id"], "ann");
}

#[tokio::test]
async fn a_name_is_given_once_whatever_its_case() {
    let server = Server::start().await;
    server.person("ann").await;
    let again = json!({"name": " ANN ", "password": "another password"});
    let again = server.ask("POST", "/v1/users").json(&again).await;
    again.fails(409, 409, "conflict", "name: ann is taken");
    assert_eq!(again.json()["error"]["field"], "name");
}

#[tokio::test]
async fn registration_can_be_closed() {
    let mut config = config();
    config.registration_open = false;
    let server = Server::with(config).await;
    let account = json!({"name": "ann", "password": PASSWORD});
    let answer = server.ask("POST", "/v1/users").json(&account).await;
    answer.fails(403, 103, "permission_denied", "registration is closed");
}

#[tokio::test]
async fn passwords_and_tokens_are_stored_as_digests_only() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let (_, secret) = ann.token.rsplit_once('.').unwrap();
    let mut connection = server.redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let mut looked_at = 0;
    for key in keys {
        let dumped: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
        let dumped = String::from_utf8_lossy(&dumped.unwrap()).into_owned();
        assert!(
            !dumped.contains(PASSWORD) && !dumped.contains(secret),
            "{key}"
        );
        looked_at += usize::from(dumped.contains("$argon2id$"));
    }
    assert_eq!(looked_at, 1);
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let server = Server::start().await;
    let here = server.person("ann").await;
    let there = server.log_in("ann", PASSWORD).await.unwrap();
    let change = json!({"old_password": "not it at all", "new_password": "a better one"});
    let wrong = server
        .ask("PUT", "/v1/me/password")
        .by(&here)
        .json(&change)
        .await;
    wrong.fails(403, 103, "permission_denied", "old_password: is wrong");
    server.get(&there, "/v1/me").await.is(200);
    let change = json!({"old_password": PASSWORD, "new_password": "a better one"});
    let changed = server
        .ask("PUT", "/v1/me/password")
        .by(&here)
        .json(&change)
        .await;
    changed.is(204);
    server.get(&here, "/v1/me").await.is(200);
    server.get(&there, "/v1/me").await.is(401);
    assert!(server.log_in("ann", PASSWORD).await.is_err());
    assert!(server.log_in("ann", "a better one").await.is_ok());
}

#[tokio::test]
async fn nobody_becomes_a_user_of_the_hosts_by_registering_the_name() {
    let server = Server::start().await;
    let guest = server.guest("ann");
    server.get(&guest, "/v1/me").await.is(200);
    let account = json!({"name": "ann", "password": PASSWORD});
    server.ask("POST", "/v1/users").json(&account).await.is(409);
    assert!(server.log_in("ann", PASSWORD).await.is_err());
}

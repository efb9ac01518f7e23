//! What operators live on: health, metrics, logs, settings.

use std::process::Command;

use chinwag_tests::cluster::{Cluster, call, eventually, register};
use chinwag_tests::http;
use chinwag_tests::process::binary;
use serde_json::json;

use crate::user::{PATIENCE, User};

fn status(admin: &str, path: &str) -> Option<u16> {
    http::text(&format!("{admin}{path}"))
        .ok()
        .map(|(status, _)| status)
}

#[test]
fn a_process_is_ready_with_redis_and_not_without() {
    let mut cluster = Cluster::new().unwrap();
    let mut processes = cluster.workers().unwrap();
    processes.push(cluster.start("gateway").unwrap());
    for process in &processes {
        eventually("ready", PATIENCE, || {
            (status(&process.admin, "/ready")? == 200).then_some(())
        })
        .unwrap();
        assert_eq!(status(&process.admin, "/live"), Some(200));
    }
    cluster.redis.kill();
    for process in &processes {
        eventually("not ready", PATIENCE, || {
            (status(&process.admin, "/ready")? == 503).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
        assert_eq!(
            status(&process.admin, "/live"),
            Some(200),
            "without Redis, but alive"
        );
    }
    cluster.redis.restart().unwrap();
    for process in &processes {
        eventually("ready again", PATIENCE, || {
            (status(&process.admin, "/ready")? == 200).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_a_conversation_and_logs_tell_no_secrets() {
    let cluster = Cluster::new().unwrap().with("log.level", "debug");
    let gateway = cluster.start("gateway").unwrap();
    let mut processes = cluster.workers().unwrap();
    let (ann, mut bob) = (
        User::join(&gateway, "ann").await,
        User::join(&gateway, "bob").await,
    );
    let room = ann.make_room("General", &["bob"]).await;
    bob.sees_room(&room).await;
    ann.says(&room, "the-canary-in-the-body").await;
    bob.hears(&room).await;
    let wrong = json!({ "name": "ann", "password": "the-canary-in-the-password" });
    assert_eq!(
        call(&gateway, "POST", "/v1/sessions", "", Some(&wrong))
            .unwrap()
            .0,
        401
    );
    let mut metrics = String::new();
    for line in [
        "chinwag_gateway_connections 2",
        "chinwag_gateway_messages_in_total 1",
        "chinwag_gateway_append_seconds_count 1",
        "chinwag_gateway_logins_total{result=\"wrong\"} 1",
    ] {
        // Gauges are set once a second.
        eventually(line, PATIENCE, || {
            metrics = http::text(&format!("{}/metrics", gateway.admin)).ok()?.1;
            metrics.contains(line).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error} in\n{metrics}"));
    }
    assert!(
        !metrics.contains(&room) && !metrics.contains("\"ann\""),
        "no room or user is a label"
    );
    processes.push(gateway);
    let secret = ann.account.token.rsplit('.').next().unwrap().to_owned();
    for process in &processes {
        let log = process.log();
        for canary in ["the-canary", "correct horse", secret.as_str()] {
            assert!(!log.contains(canary), "{canary} in\n{log}");
        }
        let lines = log.lines().filter(|line| line.starts_with('{'));
        for line in lines {
            let _: serde_json::Value = serde_json::from_str(line).unwrap();
        }
    }
}

#[test]
fn log_out_and_a_new_password_end_tokens_at_once() {
    let cluster = Cluster::new().unwrap();
    let (one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let ann = register(&one, "ann").unwrap();
    let log_in = json!({ "name": "ann", "password": "correct horse" });
    let (_, second) = call(&two, "POST", "/v1/sessions", "", Some(&log_in)).unwrap();
    let second = second["token"].as_str().unwrap();
    let (status, _) = call(&one, "DELETE", "/v1/sessions/current", second, None).unwrap();
    assert_eq!(status, 204);
    assert_eq!(call(&two, "GET", "/v1/me", second, None).unwrap().0, 401);
    let (_, third) = call(&two, "POST", "/v1/sessions", "", Some(&log_in)).unwrap();
    let third = third["token"].as_str().unwrap();
    let change = json!({ "old_password": "correct horse", "new_password": "battery staple" });
    assert_eq!(
        call(&one, "PUT", "/v1/me/password", &ann.token, Some(&change))
            .unwrap()
            .0,
        204
    );
    assert_eq!(call(&two, "GET", "/v1/me", third, None).unwrap().0, 401);
    assert_eq!(
        call(&two, "GET", "/v1/me", &ann.token, None).unwrap().0,
        200
    );
    assert_eq!(
        call(&two, "POST", "/v1/sessions", "", Some(&log_in))
            .unwrap()
            .0,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_closes_the_sockets_of_that_token() {
    let cluster = Cluster::new().unwrap();
    let (one, two) = (
        cluster.start("gateway").unwrap(),
        cluster.start("gateway").unwrap(),
    );
    let mut ann = User::join(&one, "ann").await;
    assert_eq!(
        call(
            &two,
            "DELETE",
            "/v1/sessions/current",
            &ann.account.token,
            None
        )
        .unwrap()
        .0,
        204
    );
    loop {
        if let chinwag_client::notice::Notice::Disconnected { comes_back, .. } = ann.notice().await
        {
            assert!(!comes_back, "a dead token is no reason to try again");
            break;
        }
    }
}

#[test]
fn all_bad_settings_are_told_at_once_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chinwag.toml");
    std::fs::write(
        &file,
        "[gateway]\nthreds = 2\nping_interval_ms = \"soon\"\n[redis]\npartitions = 0\n",
    )
    .unwrap();
    let output = Command::new(binary().unwrap())
        .args(["gateway", "--config"])
        .arg(&file)
        .env("CHINWAG_GATEWAY_LISTENN", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in [
        "gateway.threds",
        "gateway.threads",
        "gateway.ping_interval_ms",
        "redis.partitions",
        "CHINWAG_GATEWAY_LISTENN",
    ] {
        assert!(said.contains(name), "{name} is not in\n{said}");
    }
}

#[test]
fn what_cannot_be_reached_is_said_with_what_to_do() {
    let output = Command::new(binary().unwrap())
        .args([
            "fanout",
            "--redis",
            "redis://127.0.0.1:1",
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("127.0.0.1:1"), "{said}");
}

//! The suite against a real PostgreSQL, and what only a server can do.

use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::{Archive, CommitError, Error, open};
use futures_util::future::join_all;

use crate::rows::{attempt, commit, room, talk};
use crate::server::Server;
use crate::suite;

/// All checks on one server, each in a database of its own: a server takes seconds to make.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let server = Server::start().await;
    for (number, (name, check)) in suite::ALL.iter().enumerate() {
        println!("{name}");
        let url = server.database(&format!("check_{number}")).await;
        let archive = open(&url).await.unwrap();
        check(archive.as_ref()).await;
    }
}

#[tokio::test]
async fn many_open_a_new_database_at_once() {
    let server = Server::start().await;
    let url = server.database("chinwag").await;
    let archives = join_all((0..6).map(|_| open(&url))).await;
    for archive in archives {
        commit(archive.unwrap().as_ref(), &talk("lobby", 1..=1), "1-1").await;
    }
}

#[tokio::test]
async fn a_newer_schema_and_a_foreign_one_are_left_alone() {
    let server = Server::start().await;
    let url = server.database("newer").await;
    open(&url).await.unwrap();
    let admin = server.admin("newer").await;
    admin
        .batch_execute("UPDATE chinwag.schema_version SET version = 99")
        .await
        .unwrap();
    let refused = open(&url).await.err().unwrap();
    assert!(
        matches!(refused, Error::SchemaTooNew { found: 99, .. }),
        "{refused}"
    );

    let url = server.database("others").await;
    let admin = server.admin("others").await;
    admin
        .batch_execute("CREATE SCHEMA chinwag; CREATE TABLE chinwag.photos (id int)")
        .await
        .unwrap();
    let refused = open(&url).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign(_)), "{refused}");

    let latin = "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'";
    admin.batch_execute(latin).await.unwrap();
    let refused = open(&server.url("latin")).await.err().unwrap().to_string();
    assert!(
        refused.contains("must have the encoding UTF8, it has LATIN1"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_missing_database_is_refused_without_the_password() {
    let server = Server::start().await;
    let refused = open(&server.url("nowhere")).await.err().unwrap();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("database \"nowhere\" does not exist"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

/// The server is killed and comes back: what was committed is there, and the same handle goes on.
#[tokio::test]
async fn a_killed_server_comes_back_with_what_was_committed() {
    let mut server = Server::start().await;
    let archive = open(&server.database("chinwag").await).await.unwrap();
    commit(archive.as_ref(), &talk("lobby", 1..=5), "1-5").await;
    server.kill();
    for _ in 0..3 {
        let away = archive.high(&room("lobby")).await.unwrap_err();
        assert!(away.is_temporary(), "{away}");
        assert!(!away.to_string().contains("hunter2"), "{away}");
    }
    server.restart().await;
    let high = eventually(&archive).await;
    assert_eq!(high, 5);
    commit(archive.as_ref(), &talk("lobby", 1..=9), "1-9").await;
}

async fn eventually(archive: &Arc<dyn Archive>) -> u64 {
    for _ in 0..100 {
        match archive.high(&room("lobby")).await {
            Ok(high) => return high.unwrap().seq,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the archive does not come back");
}

/// A successor is not held up for ever by a process that stopped within its transaction.
#[tokio::test]
async fn a_stopped_owner_loses_its_lock_on_the_partition() {
    let server = Server::start().await;
    let archive = open(&server.database("chinwag").await).await.unwrap();
    commit(archive.as_ref(), &talk("lobby", 1..=1), "1-1").await;
    let stopped = server.admin("chinwag").await;
    let lock = "SET idle_in_transaction_session_timeout = '1s';
                BEGIN; UPDATE chinwag.partitions SET log_id = 'zombie' WHERE partition = 7";
    stopped.batch_execute(lock).await.unwrap();
    let committed = attempt(archive.as_ref(), 2, 1, &talk("lobby", 2..=2), "1-2").await;
    assert_eq!(committed.unwrap().inserted, 1);
    assert_eq!(archive.checkpoint(7).await.unwrap().unwrap().log_id, "1-2");
}

/// A database that turned read-only (a primary that became a replica) is away, not broken.
#[tokio::test]
async fn a_read_only_server_is_temporary() {
    let server = Server::start().await;
    let archive = open(&server.database("chinwag").await).await.unwrap();
    let admin = server.admin("postgres").await;
    let read_only = "ALTER DATABASE chinwag SET default_transaction_read_only = on";
    admin.batch_execute(read_only).await.unwrap();
    let refused = attempt(archive.as_ref(), 1, 1, &[], "1-1")
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CommitError::Failed(Error::Unavailable(_))),
        "{refused}"
    );
    admin
        .batch_execute("ALTER DATABASE chinwag RESET default_transaction_read_only")
        .await
        .unwrap();
    attempt(archive.as_ref(), 1, 1, &[], "1-1").await.unwrap();
}

//! What only a file can do.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chinwag_archive::{Archive, Error, Range, open};
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::rows::{attempt, commit, room, seqs, talk};

/// A new archive; the directory ends with the guard.
pub async fn fresh() -> (TempDir, Arc<dyn Archive>) {
    let directory = tempfile::tempdir().unwrap();
    let archive = opened(&directory.path().join("data/archive.db"))
        .await
        .unwrap();
    (directory, archive)
}

async fn opened(path: &Path) -> Result<Arc<dyn Archive>, Error> {
    open(&format!("sqlite:{}", path.display())).await
}

#[tokio::test]
async fn a_file_opened_again_has_everything() {
    let (directory, archive) = fresh().await;
    commit(archive.as_ref(), &talk("lobby", 1..=3), "1-3").await;
    drop(archive);
    let archive = opened(&directory.path().join("data/archive.db"))
        .await
        .unwrap();
    assert_eq!(archive.checkpoint(7).await.unwrap().unwrap().log_id, "1-3");
    assert_eq!(archive.high(&room("lobby")).await.unwrap().unwrap().seq, 3);
}

#[tokio::test]
async fn many_open_a_new_file_at_once_and_share_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive.db");
    let archives = join_all((0..8).map(|_| opened(&path))).await;
    let archives: Vec<_> = archives.into_iter().map(Result::unwrap).collect();
    let commits = archives
        .iter()
        .zip(0u16..)
        .map(|(archive, partition)| async move {
            let rows = talk(&format!("room-{partition}"), 1..=100);
            for rows in rows.chunks(5) {
                let commit = chinwag_archive::Commit {
                    partition,
                    token: 1,
                    epoch: 1,
                    rows,
                    upto: "1",
                };
                archive.commit(commit).await.unwrap();
            }
        });
    join_all(commits).await;
    for partition in 0..8 {
        let high = archives[0]
            .high(&room(&format!("room-{partition}")))
            .await
            .unwrap();
        assert_eq!(high.unwrap().seq, 100);
    }
}

#[tokio::test]
async fn a_newer_schema_and_a_foreign_file_are_left_alone() {
    let (directory, archive) = fresh().await;
    drop(archive);
    let path = directory.path().join("data/archive.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refused = opened(&path).await.err().unwrap();
    assert!(
        matches!(refused, Error::SchemaTooNew { found: 99, .. }),
        "{refused}"
    );

    let path = directory.path().join("foreign.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE photos (id)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = opened(&path).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign(_)), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let path = directory.path().join("text");
    std::fs::write(&path, "x".repeat(5000)).unwrap();
    let refused = opened(&path).await.err().unwrap();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    for (address, problem) in [
        ("sqlite:", "must be followed by the path"),
        ("sqlite::memory:", "must be followed by the path"),
        (
            "mysql://root:hunter2@host/db",
            "must begin with sqlite: or postgres://",
        ),
        ("hunter2", "must begin with sqlite: or postgres://"),
    ] {
        let refused = open(address).await.err().unwrap();
        assert!(matches!(refused, Error::Address(_)));
        let text = refused.to_string();
        assert!(
            text.contains(problem) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let begun = Instant::now();
    for path in ["file/archive.db", ""] {
        let refused = opened(&directory.path().join(path)).await.err().unwrap();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
}

/// What a killed process had been told is committed is there, and nothing by halves.
#[tokio::test]
async fn a_kill_in_the_midst_of_commits_loses_none_that_returned() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=3u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sqlite::commits_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("CHINWAG_TEST_ARCHIVE", directory.path().join("archive.db"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut told = lines.filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
        let mut last: u64 = told.nth(usize::try_from(20 * round).unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = told.last().unwrap_or(last);

        let archive = opened(&directory.path().join("archive.db")).await.unwrap();
        let high = archive.high(&room("lobby")).await.unwrap().unwrap().seq;
        assert!(high >= last, "{last} was committed, {high} is there");
        let checkpoint = archive.checkpoint(7).await.unwrap().unwrap();
        assert_eq!(checkpoint.log_id, format!("1-{high}"));
        let page = archive
            .page(&room("lobby"), Range::before(u64::MAX, 200))
            .await
            .unwrap();
        let expected: Vec<u64> = (1..=high).rev().take(200).collect();
        assert_eq!(seqs(&page), expected);
    }
}

#[tokio::test]
#[ignore = "the child process of the test above"]
#[expect(
    clippy::disallowed_methods,
    reason = "how its parent tells it the file"
)]
async fn commits_until_killed() {
    let Ok(path) = std::env::var("CHINWAG_TEST_ARCHIVE") else {
        return;
    };
    let archive = opened(path.as_ref()).await.unwrap();
    let done = archive
        .high(&room("lobby"))
        .await
        .unwrap()
        .map_or(0, |high| high.seq);
    for first in (done + 1..).step_by(5) {
        let upto = format!("1-{}", first + 4);
        attempt(
            archive.as_ref(),
            1,
            1,
            &talk("lobby", first..=first + 4),
            &upto,
        )
        .await
        .unwrap();
        println!("committed {}", first + 4);
    }
}

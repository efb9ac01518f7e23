use chinwag_archive::{Archive, Checkpoint, Commit, CommitError, Committed, Error, Range};
use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::{Change, Content, Kind, Made, Role, RoomChange};
use chinwag_protocol::json::Json;
use futures_util::future::join_all;

use crate::rows::{attempt, commit, events, found, id, named, room, said, seqs, talk, user};

const EVERYTHING: Range = Range {
    from_seq: 0,
    to_seq: u64::MAX,
    limit: 1000,
    ascending: true,
};

pub async fn rows_come_back_as_they_were(archive: &dyn Archive) {
    let mut rows = vec![
        said("lobby", 1, "hi"),
        named("lobby", 2, "m-2", "上海"),
        said("lobby", 3, ""),
    ];
    rows[0].event.content = Content::Room {
        change: RoomChange::Created,
        name: "Lobby \"1\"".into(),
        topic: "línea\n".into(),
        made: Some(Made {
            kind: Kind::Open,
            ack: Some(Ack::Archived),
        }),
    };
    rows[1].event.content = Content::Member {
        user: user("bob"),
        change: Change::Invited,
        role: Role::Admin,
    };
    rows[2].event.sender = None;
    rows[2].event.client = None;
    rows[2].event.epoch = 3;
    let data = Json::new("data", br#"{"b":1.0,  "a":"\u4e0a"}"#, 100).unwrap();
    rows[2].event.content = Content::Publication { data };
    let committed = commit(archive, &rows, "1-3").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 3,
            ..Committed::default()
        }
    );
    let page = archive.page(&room("lobby"), EVERYTHING).await.unwrap();
    assert_eq!(page, events(&rows));
}

pub async fn a_replay_changes_nothing(archive: &dyn Archive) {
    let rows = talk("lobby", 1..=20);
    commit(archive, &rows[..15], "1-15").await;
    let committed = commit(archive, &rows, "1-20").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 5,
            replayed: 15,
            ..Committed::default()
        }
    );
    let committed = commit(archive, &rows, "1-20").await;
    assert_eq!(
        committed,
        Committed {
            replayed: 20,
            ..Committed::default()
        }
    );
    let page = archive.page(&room("lobby"), EVERYTHING).await.unwrap();
    assert_eq!(page, events(&rows));
    assert_eq!(
        found(archive, &["lobby"], "text 7").await,
        ["lobby/17", "lobby/7"][1..]
    );
}

pub async fn a_message_id_sent_again_keeps_its_sequence_and_words(archive: &dyn Archive) {
    let rows = [
        named("lobby", 1, "again", "hello there"),
        said("lobby", 2, "between"),
        named("lobby", 3, "again", "hello there"),
        named("lobby", 4, "again", "hello stranger"),
    ];
    let committed = commit(archive, &rows[..3], "1-3").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 3,
            duplicates: 1,
            ..Committed::default()
        }
    );
    let committed = commit(archive, &rows, "1-4").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 1,
            duplicates: 1,
            replayed: 3,
            conflicts: 0
        }
    );
    let page = archive.page(&room("lobby"), EVERYTHING).await.unwrap();
    assert_eq!(page, events(&rows));
    let original = archive
        .find(&room("lobby"), Some(&user("ann")), &id("again"))
        .await
        .unwrap();
    assert_eq!(original, Some(rows[0].event.clone()));
    // The same words are found once; other words are found although the id was used before.
    assert_eq!(
        found(archive, &["lobby"], "hello").await,
        ["lobby/4", "lobby/1"]
    );
}

pub async fn the_same_id_is_free_for_another_sender_or_room(archive: &dyn Archive) {
    let mut rows = vec![
        named("lobby", 1, "m", "a"),
        named("lobby", 2, "m", "b"),
        named("hall", 1, "m", "c"),
    ];
    rows[1].event.sender = Some(user("bob"));
    let mut nobodys = named("lobby", 3, "m", "d");
    nobodys.event.sender = None;
    rows.push(nobodys);
    let committed = commit(archive, &rows, "1-4").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 4,
            ..Committed::default()
        }
    );
    for (sender, seq) in [(Some(user("ann")), 1), (Some(user("bob")), 2), (None, 3)] {
        let event = archive
            .find(&room("lobby"), sender.as_ref(), &id("m"))
            .await
            .unwrap();
        assert_eq!(event.unwrap().seq, seq);
    }
}

pub async fn a_sequence_used_twice_keeps_the_first_event(archive: &dyn Archive) {
    commit(
        archive,
        &[named("lobby", 1, "first", "what was read")],
        "1-1",
    )
    .await;
    let other = [
        named("lobby", 1, "second", "what came later"),
        said("lobby", 2, "next"),
    ];
    let committed = commit(archive, &other, "2-1").await;
    assert_eq!(
        committed,
        Committed {
            inserted: 1,
            conflicts: 1,
            ..Committed::default()
        }
    );
    let page = archive.page(&room("lobby"), EVERYTHING).await.unwrap();
    assert_eq!(page[0].id, Some(id("first")));
    assert_eq!(seqs(&page), [1, 2]);
}

pub async fn a_checkpoint_moves_with_its_rows_or_without_any(archive: &dyn Archive) {
    assert_eq!(archive.checkpoint(7).await.unwrap(), None);
    archive.allocate_epoch(7, "run-a", 0).await.unwrap();
    assert_eq!(archive.checkpoint(7).await.unwrap(), None);
    attempt(archive, 3, 1, &talk("lobby", 1..=2), "1-2")
        .await
        .unwrap();
    attempt(archive, 4, 1, &[], "1-9").await.unwrap();
    let checkpoint = Checkpoint {
        log_id: "1-9".into(),
        token: 4,
        epoch: 1,
    };
    assert_eq!(archive.checkpoint(7).await.unwrap(), Some(checkpoint));
    assert_eq!(archive.checkpoint(8).await.unwrap(), None);
}

pub async fn an_older_token_or_epoch_is_fenced_and_writes_nothing(archive: &dyn Archive) {
    archive.allocate_epoch(7, "run-a", 0).await.unwrap();
    archive.allocate_epoch(7, "run-b", 0).await.unwrap();
    attempt(archive, 5, 2, &talk("lobby", 1..=1), "2-1")
        .await
        .unwrap();
    for (token, epoch) in [(4, 2), (5, 1), (9, 1), (4, 9)] {
        let rows = talk("lobby", 2..=3);
        let refused = attempt(archive, token, epoch, &rows, "9-9")
            .await
            .unwrap_err();
        assert!(
            matches!(refused, CommitError::Fenced { token: 5, epoch: 2 }),
            "{refused}"
        );
    }
    let checkpoint = Checkpoint {
        log_id: "2-1".into(),
        token: 5,
        epoch: 2,
    };
    assert_eq!(archive.checkpoint(7).await.unwrap(), Some(checkpoint));
    assert_eq!(archive.high(&room("lobby")).await.unwrap().unwrap().seq, 1);
    attempt(archive, 6, 2, &talk("lobby", 2..=2), "2-2")
        .await
        .unwrap();
}

pub async fn a_commit_without_room_for_its_numbers_is_refused_alone(archive: &dyn Archive) {
    let mut row = said("lobby", 1, "x");
    row.event.seq = u64::MAX;
    let refused = attempt(archive, 1, 1, &[row], "1-1").await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Failed(Error::Refused(_))),
        "{refused}"
    );
    let refused = attempt(archive, u64::MAX, 1, &[], "1-1").await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Failed(Error::Refused(_))),
        "{refused}"
    );
    commit(archive, &talk("lobby", 1..=1), "1-1").await;
}

pub async fn partitions_commit_at_the_same_time(archive: &dyn Archive) {
    let commits = (0..32u16).map(|partition| async move {
        for turn in 0..5u64 {
            let name = format!("room-{partition}");
            let rows = talk(&name, turn * 10 + 1..=turn * 10 + 10);
            // Every fourth is a zombie's.
            let token = if partition % 4 == 3 { 1 } else { 2 };
            let commit = Commit {
                partition,
                token,
                epoch: 1,
                rows: &rows,
                upto: "1-1",
            };
            let taken_over = Commit {
                token: 2,
                rows: &[],
                ..commit
            };
            archive.commit(taken_over).await.unwrap();
            assert_eq!(archive.commit(commit).await.is_ok(), token == 2);
        }
    });
    join_all(commits).await;
    for partition in 0..32 {
        let high = archive
            .high(&room(&format!("room-{partition}")))
            .await
            .unwrap();
        assert_eq!(
            high.map(|high| high.seq),
            (partition % 4 != 3).then_some(50)
        );
    }
}

pub async fn any_json_that_was_accepted_can_be_archived(archive: &dyn Archive) {
    let deep = "[".repeat(64) + &"]".repeat(64);
    let long = format!(r#"{{"text":"{}"}}"#, "a b 上海 ".repeat(2300));
    let word = format!(r#"{{"text":"{}"}}"#, "x".repeat(32_000));
    let bodies = [
        r#""\u0000""#,
        r#"{"text":"nul \u0000 here"}"#,
        r#"{"text":"half \ud83d"}"#,
        "1e400",
        r#"{"a":1,"a":2}"#,
        "-0.0",
        "null",
        r#""""#,
        r#"{"text":"'quoted' \\ \"back\" :1 & !(|)"}"#,
        r#"{"text":"ﷺ ﷺ ㍿"}"#,
        &deep,
        &long,
        &word,
    ];
    let mut rows = Vec::new();
    for (body, seq) in bodies.iter().zip(1..) {
        let mut row = said("lobby", seq, "");
        let body = Json::new("body", body.as_bytes(), 32 * 1024).unwrap();
        row.event.content = Content::Message { body };
        rows.push(row);
    }
    let committed = commit(archive, &rows, "1-1").await;
    assert_eq!(committed.inserted, rows.len());
    let page = archive.page(&room("lobby"), EVERYTHING).await.unwrap();
    assert_eq!(page, events(&rows));
    assert_eq!(found(archive, &["lobby"], "half").await, ["lobby/3"]);
    assert_eq!(found(archive, &["lobby"], &"x".repeat(100)).await, [""; 0]);
}

//! Rooms and their members.

use chinwag_protocol::event::{Change, Kind, Role};
use chinwag_protocol::position::Position;
use chinwag_store::Error;
use chinwag_store::append::{Appended, Rules};
use chinwag_store::history::Resumed;
use chinwag_store::member::Changed;
use chinwag_store::room::NewRoom;

use crate::support::{MEMBERS, append, group, make, room, says, store, user, written};

#[tokio::test]
async fn only_members_write_and_a_missing_room_answers_the_same() {
    let (_redis, store) = store().await;
    let room_id = group(&store, "room:a", &["ann", "bob"]).await;
    let answer = append(&store, says(&room_id, MEMBERS, "eve", "e-1", "hi"), (0, 0)).await;
    assert_eq!(answer, Appended::Refused);
    let missing = append(
        &store,
        says(&room("room:b"), MEMBERS, "eve", "", "hi"),
        (0, 0),
    )
    .await;
    assert_eq!(missing, Appended::Missing);
    written(append(&store, says(&room_id, MEMBERS, "bob", "", "hi"), (0, 0)).await);
}

#[tokio::test]
async fn an_overview_counts_unread_messages_and_not_other_events() {
    let (_redis, store) = store().await;
    let room = group(&store, "room:a", &["ann", "bob"]).await;
    for text in ["one", "two"] {
        append(&store, says(&room, MEMBERS, "ann", "", text), (0, 0)).await;
    }
    let seen = store
        .overviews(std::slice::from_ref(&room), &user("bob"))
        .await
        .unwrap();
    let seen = seen[0].clone().unwrap();
    assert_eq!(
        (seen.messages, seen.messages_read, seen.members),
        (2, Some(0), 2)
    );
    // Sending moves the sender's own cursor.
    let own = store
        .overviews(std::slice::from_ref(&room), &user("ann"))
        .await
        .unwrap();
    assert_eq!(own[0].as_ref().unwrap().messages_read, Some(2));
    let cursor = store
        .mark_read(&room, &user("bob"), 999)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (cursor.seq, cursor.messages, cursor.messages_read),
        (seen.seq, 2, Some(2))
    );
    let back = store
        .mark_read(&room, &user("bob"), 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back.seq, seen.seq, "a cursor never goes back");
    assert_eq!(store.mark_read(&room, &user("eve"), 1).await.unwrap(), None);
}

#[tokio::test]
async fn membership_changes_by_the_rules_of_the_kind() {
    let (_redis, store) = store().await;
    let group = group(&store, "room:g", &["ann"]).await;
    let open = make(&store, "room:o", Kind::Open, &["ann"]).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let joined = store
        .change_member(&group, Some(&bob), &bob, Change::Joined)
        .await
        .unwrap();
    assert_eq!(joined, Changed::NoSuchRoom);
    let invited = store
        .change_member(&group, Some(&ann), &bob, Change::Invited)
        .await
        .unwrap();
    assert!(matches!(invited, Changed::Done { .. }));
    let again = store
        .change_member(&group, Some(&ann), &bob, Change::Invited)
        .await
        .unwrap();
    assert_eq!(again, Changed::Already);
    let joined = store
        .change_member(&open, Some(&bob), &bob, Change::Joined)
        .await
        .unwrap();
    assert!(matches!(joined, Changed::Done { .. }));
    store
        .change_member(&open, Some(&bob), &bob, Change::Left)
        .await
        .unwrap();
    assert_eq!(store.membership(&open, &bob).await.unwrap(), None);
    let stranger = store
        .change_member(&group, Some(&user("eve")), &bob, Change::Removed)
        .await;
    assert_eq!(stranger.unwrap(), Changed::NoSuchRoom);
}

#[tokio::test]
async fn a_direct_room_is_made_once_and_keeps_its_members() {
    let (_redis, store) = store().await;
    let room = make(&store, "dm:ann:bob", Kind::Dm, &["ann", "bob"]).await;
    assert_eq!(store.member_count(&room).await.unwrap(), 2);
    let left = store
        .change_member(&room, Some(&user("ann")), &user("ann"), Change::Left)
        .await;
    assert_eq!(left.unwrap(), Changed::WrongKind);
}

#[tokio::test]
async fn lists_of_rooms_move_up_and_never_down() {
    let (_redis, store) = store().await;
    let ann = [user("ann")];
    for (name, time) in [
        ("room:a", 10),
        ("room:b", 20),
        ("room:a", 30),
        ("room:b", 5),
    ] {
        store.touch_rooms(&room(name), &ann, time).await.unwrap();
    }
    let rooms = store.rooms_of(&ann[0], None, 10).await.unwrap();
    assert_eq!(rooms, [(room("room:a"), 30), (room("room:b"), 20)]);
    let older = store.rooms_of(&ann[0], Some(30), 10).await.unwrap();
    assert_eq!(older, [(room("room:b"), 20)]);
}

#[tokio::test]
async fn a_room_with_members_is_never_forgotten_however_short_its_history() {
    let (redis, store) = store().await;
    let room = group(&store, "room:g", &["ann"]).await;
    let rules = Rules {
        history_seconds: 1,
        ..MEMBERS
    };
    let said = append(&store, says(&room, rules, "ann", "m-1", "hi"), (0, 0)).await;
    let position = written(said).position;
    store
        .mark_archived(&[(room.clone(), position)])
        .await
        .unwrap();
    let mut redis = redis.connection().unwrap();
    let mut ttl = |key: &str| -> i64 {
        let keys: Vec<String> = redis::cmd("KEYS").arg(key).query(&mut redis).unwrap();
        redis::cmd("TTL").arg(&keys[0]).query(&mut redis).unwrap()
    };
    assert_eq!(ttl("room:*:room:g"), -1);
    assert!(ttl("history:*:room:g") >= 0);
}

#[tokio::test]
async fn a_ring_is_bounded_even_if_people_only_come_and_go() {
    let (_redis, store) = store().await;
    let open = make(&store, "room:o", Kind::Open, &["ann"]).await;
    let bob = user("bob");
    let mut seq = 0;
    for _ in 0..200 {
        for change in [Change::Joined, Change::Left] {
            let changed = store.change_member(&open, Some(&bob), &bob, change).await;
            if let Changed::Done { seq: done } = changed.unwrap() {
                seq = done;
            }
        }
        store
            .mark_archived(&[(open.clone(), Position::new(1, seq))])
            .await
            .unwrap();
    }
    assert_eq!(seq, 402);
    assert!(store.ring(&open, 1, seq).await.unwrap().len() < 220);
}

#[tokio::test]
async fn a_room_that_redis_has_lost_is_made_above_what_the_archive_has() {
    let (_redis, store) = store().await;
    let new = NewRoom {
        room: room("dm:ann:eve"),
        kind: Kind::Dm,
        name: String::new(),
        topic: String::new(),
        ack: None,
        creator: user("ann"),
        members: vec![(user("ann"), Role::Member), (user("eve"), Role::Member)],
    };
    let Err(Error::NeedEpoch { run_id }) = store.create_room_above(&new, (7, 4)).await else {
        panic!("a partition without an epoch takes nothing")
    };
    let partition = store.keys().of_room(&new.room);
    store.install_epoch(partition, 2, &run_id).await.unwrap();
    assert!(store.create_room_above(&new, (7, 4)).await.unwrap());
    let said = says(&new.room, MEMBERS, "ann", "m-9", "again");
    let receipt = written(append(&store, said, (0, 0)).await);
    assert_eq!((receipt.position.seq, receipt.messages), (11, 5));
    let old = store.resume(&new.room, Position::new(1, 9), 10).await;
    assert!(matches!(old, Ok(Resumed::Rewind { .. })), "{old:?}");
}

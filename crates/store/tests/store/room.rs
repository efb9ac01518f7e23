//! Rooms and their members.

use chinwag_protocol::event::{Change, Kind};
use chinwag_store::append::Appended;
use chinwag_store::member::Changed;

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
    assert_eq!(missing, Appended::Refused);
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

//! Who inherits a room, and rooms of very many.

use chinwag_protocol::event::{Change, Content, Kind, Role};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_store::Store;
use chinwag_store::member::Changed;

use crate::support::{group, make, room, store, user};

async fn change(store: &Store, room: &RoomId, who: &str, change: Change) -> u64 {
    let who = user(who);
    match store.change_member(room, None, &who, change).await.unwrap() {
        Changed::Done { seq } => seq,
        other => panic!("{other:?}"),
    }
}

async fn role(store: &Store, room: &RoomId, who: &str) -> Option<Role> {
    let membership = store.membership(room, &user(who)).await.unwrap();
    membership.map(|membership| membership.role)
}

#[tokio::test]
async fn when_the_owner_goes_the_longest_standing_member_inherits() {
    let (_redis, store) = store().await;
    // By name the last, by standing the first.
    let room = group(&store, "room:g", &["ann", "zoe", "bob"]).await;
    let seq = change(&store, &room, "ann", Change::Left).await;
    assert_eq!(role(&store, &room, "zoe").await, Some(Role::Owner));
    assert_eq!(role(&store, &room, "bob").await, Some(Role::Member));
    let events = store.ring(&room, seq, seq + 1).await.unwrap();
    let contents: Vec<Content> = events.into_iter().map(|event| event.content).collect();
    let gone = Content::Member {
        user: user("ann"),
        change: Change::Left,
        role: Role::Member,
    };
    let heir = Content::Member {
        user: user("zoe"),
        change: Change::Role,
        role: Role::Owner,
    };
    assert_eq!(contents, [gone, heir]);
    // Whoever is no owner leaves nothing.
    let next = change(&store, &room, "bob", Change::Left).await;
    assert_eq!(next, seq + 2);
    let last = change(&store, &room, "zoe", Change::Left).await;
    assert_eq!(last, seq + 3);
}

#[tokio::test]
async fn who_comes_into_a_room_that_everybody_has_left_owns_it() {
    let (_redis, store) = store().await;
    let open = make(&store, "room:o", Kind::Open, &["ann"]).await;
    change(&store, &open, "ann", Change::Left).await;
    change(&store, &open, "bob", Change::Joined).await;
    change(&store, &open, "eve", Change::Joined).await;
    assert_eq!(role(&store, &open, "bob").await, Some(Role::Owner));
    assert_eq!(role(&store, &open, "eve").await, Some(Role::Member));
}

#[tokio::test]
async fn a_page_of_a_large_room_reads_the_page() {
    let (redis, store) = store().await;
    let open = make(&store, "room:o", Kind::Open, &["ann"]).await;
    let mut expected = vec![user("ann")];
    for number in 0..600 {
        let name = format!("user-{number:04}");
        change(&store, &open, &name, Change::Joined).await;
        expected.push(user(&name));
    }
    change(&store, &open, "user-0007", Change::Left).await;
    expected.retain(|one| one.as_str() != "user-0007");
    let pages = async || {
        let (mut all, mut after): (Vec<UserId>, Option<UserId>) = (Vec::new(), None);
        loop {
            let page = store
                .members_page(&open, after.as_ref(), 100)
                .await
                .unwrap();
            assert!(page.len() <= 100);
            let Some((last, _)) = page.last() else {
                return all;
            };
            after = Some(last.clone());
            all.extend(page.into_iter().map(|(user, _)| user));
        }
    };
    assert_eq!(pages().await, expected);
    // A roster that an older process did not follow, or that is missing, is made anew.
    let mut redis = redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("roster:*")
        .query(&mut redis)
        .unwrap();
    assert_eq!(keys.len(), 1);
    let mut spoil = redis::cmd("ZREM");
    spoil
        .arg(&keys[0])
        .arg("user-0003")
        .query::<u64>(&mut redis)
        .unwrap();
    assert_eq!(pages().await, expected);
    let mut spoil = redis::cmd("ZADD");
    spoil
        .arg(&keys[0])
        .arg(0)
        .arg("nobody")
        .query::<u64>(&mut redis)
        .unwrap();
    let mut spoil = redis::cmd("ZREM");
    spoil
        .arg(&keys[0])
        .arg("user-0003")
        .query::<u64>(&mut redis)
        .unwrap();
    assert_eq!(pages().await, expected);
    // Back to a small one, which needs none.
    for number in 100..200 {
        change(&store, &open, &format!("user-{number:04}"), Change::Left).await;
    }
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("roster:*")
        .query(&mut redis)
        .unwrap();
    assert!(keys.is_empty());
    let small = store
        .members_page(&open, Some(&user("user-0500")), 2)
        .await
        .unwrap();
    let names: Vec<&str> = small.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(names, ["user-0501", "user-0502"]);
    assert!(
        store
            .members_page(&room("room:none"), None, 5)
            .await
            .unwrap()
            .is_empty()
    );
}

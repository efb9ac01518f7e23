//! Accounts and their tokens.

use chinwag_store::Store;
use chinwag_store::user::{Profile, TOKENS_MOST};

use crate::support::{store, user};

fn profile(name: &str) -> Profile {
    Profile {
        display_name: name.to_owned(),
        created: 1,
    }
}

async fn create(store: &Store, name: &str, password: Option<&str>) -> bool {
    let (user, profile) = (user(name), profile(name));
    store.create_user(&user, &profile, password).await.unwrap()
}

#[tokio::test]
async fn a_name_is_given_once() {
    let (_redis, store) = store().await;
    assert!(create(&store, "ann", Some("hash")).await);
    assert!(!create(&store, "ann", Some("other")).await);
    let password = store.password(&user("ann")).await.unwrap();
    assert_eq!(password.as_deref(), Some("hash"));
}

#[tokio::test]
async fn nobody_becomes_a_vouched_user_by_registering_the_name() {
    let (_redis, store) = store().await;
    assert!(create(&store, "ann", None).await);
    assert!(!create(&store, "ann", Some("hash")).await);
    assert_eq!(store.password(&user("ann")).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_ends_all_tokens_but_one() {
    let (_redis, store) = store().await;
    let ann = user("ann");
    create(&store, "ann", Some("old")).await;
    let later = store.now() + 60_000;
    for digest in ["one", "two"] {
        assert!(store.add_token(&ann, "old", digest, later).await.unwrap());
    }
    assert!(
        store
            .change_password(&ann, "old", "new", "two")
            .await
            .unwrap()
    );
    assert_eq!(store.token_expiry(&ann, "one").await.unwrap(), None);
    assert_eq!(store.token_expiry(&ann, "two").await.unwrap(), Some(later));
    // Whoever verified the old one meanwhile comes too late.
    assert!(!store.add_token(&ann, "old", "three", later).await.unwrap());
    assert!(
        !store
            .change_password(&ann, "old", "third", "two")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn tokens_do_not_pile_up() {
    let (redis, store) = store().await;
    let ann = user("ann");
    create(&store, "ann", Some("hash")).await;
    let now = store.time().await.unwrap();
    // It expired the day before yesterday.
    store
        .add_token(&ann, "hash", "stale", now - 48 * 3_600_000)
        .await
        .unwrap();
    for number in 0..TOKENS_MOST + 1 {
        let (digest, expires) = (format!("token {number}"), now + 60_000 + number);
        assert!(
            store
                .add_token(&ann, "hash", &digest, expires)
                .await
                .unwrap()
        );
    }
    let mut connection = redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("tokens:*")
        .query(&mut connection)
        .unwrap();
    let count: u64 = redis::cmd("HLEN")
        .arg(&keys[0])
        .query(&mut connection)
        .unwrap();
    let lives: u64 = redis::cmd("PTTL")
        .arg(&keys[0])
        .query(&mut connection)
        .unwrap();
    assert_eq!(count, TOKENS_MOST);
    assert!(lives > 24 * 3_600_000);
    assert_eq!(store.token_expiry(&ann, "token 0").await.unwrap(), None);
    let last = format!("token {TOKENS_MOST}");
    assert!(store.token_expiry(&ann, &last).await.unwrap().is_some());
}

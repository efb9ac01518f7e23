//! A store on a server of its own, and short ways to say what the stories say often.

use std::time::Duration;

use chinwag_protocol::event::{Content, Kind, Role};
use chinwag_protocol::id::{Incarnation, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_store::append::{Appended, Draft, Receipt, Rules};
use chinwag_store::room::NewRoom;
use chinwag_store::{Config, Error, Store};
use chinwag_tests::redis::Redis;

pub const CHANNEL: Rules = Rules {
    members_only: false,
    history_size: 20,
    history_seconds: 0,
};
pub const MEMBERS: Rules = Rules {
    members_only: true,
    history_size: 20,
    history_seconds: 0,
};

pub fn config(redis: &Redis) -> Config {
    Config {
        url: redis.url(),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(2),
        partitions: 4,
    }
}

/// A store in which every partition has epoch 1.
pub async fn store() -> (Redis, Store) {
    let redis = Redis::start().unwrap();
    let store = Store::connect(config(&redis)).await.unwrap();
    (redis, store)
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

pub fn process(name: &str) -> Incarnation {
    Incarnation::new(name).unwrap()
}

pub fn says(room: &RoomId, rules: Rules, who: &str, id: &str, text: &str) -> Draft {
    let body = Json::of(text);
    let id = (!id.is_empty()).then(|| MessageId::new(id).unwrap());
    Draft::new(
        room.clone(),
        rules,
        Some(user(who)),
        None,
        id,
        &Content::Message { body },
    )
}

/// Appends one draft, doing what the errors say as a gateway does; the archive has `archived`
/// events and messages of the room.
pub async fn append(store: &Store, mut draft: Draft, archived: (u64, u64)) -> Appended {
    let partition = store.keys().of_room(&draft.room);
    for _ in 0..4 {
        match store.append(partition, std::slice::from_ref(&draft)).await {
            Err(Error::NeedEpoch { run_id }) => {
                let epoch = store.epoch(partition).await.unwrap() + 1;
                store
                    .install_epoch(partition, epoch, &run_id)
                    .await
                    .unwrap();
            }
            Ok(answers) => match answers[0] {
                Appended::NeedReconcile { epoch } => {
                    store
                        .reconcile(&draft.room, epoch, archived, Kind::Channel)
                        .await
                        .unwrap();
                }
                Appended::Look => draft.looked = true,
                answer => return answer,
            },
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no append after four attempts")
}

pub fn written(answer: Appended) -> Receipt {
    match answer {
        Appended::Written(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// Makes a group of these members, the first of whom owns it.
pub async fn group(store: &Store, name: &str, members: &[&str]) -> RoomId {
    make(store, name, Kind::Group, members).await
}

pub async fn make(store: &Store, name: &str, kind: Kind, members: &[&str]) -> RoomId {
    let room = room(name);
    // A first append gives the partition its epoch.
    append(
        store,
        says(&self::room("warm"), CHANNEL, "x", "", "x"),
        (0, 0),
    )
    .await;
    let partition = store.keys().of_room(&room);
    let new = NewRoom {
        room: room.clone(),
        kind,
        name: "A room".to_owned(),
        topic: String::new(),
        ack: None,
        creator: user(members[0]),
        members: members
            .iter()
            .enumerate()
            .map(|(at, name)| (user(name), if at == 0 { Role::Owner } else { Role::Member }))
            .collect(),
    };
    match store.create_room(&new).await {
        Err(Error::NeedEpoch { run_id }) => {
            store.install_epoch(partition, 1, &run_id).await.unwrap();
            assert!(store.create_room(&new).await.unwrap());
        }
        made => assert!(made.unwrap()),
    }
    room
}

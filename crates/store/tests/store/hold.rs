//! What processes hold: leases, marks, sessions and presence.

use std::time::Duration;

use chinwag_protocol::id::ClientId;
use chinwag_protocol::position::Position;
use chinwag_store::log::LogId;
use chinwag_store::presence::Occupant;
use chinwag_store::user::Profile;
use chinwag_store::{Error, Partition};

use crate::support::{CHANNEL, append, process, room, says, store, user};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn a_partition_has_one_holder_and_a_late_one_is_fenced() {
    let (_redis, store) = store().await;
    let (one, two) = (process("one"), process("two"));
    let partition = Partition(0);
    let late = store
        .take_lease(partition, "fanout", &one, SHORT, 0)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store
            .take_lease(partition, "fanout", &two, LONG, 0)
            .await
            .unwrap(),
        None
    );
    let held = loop {
        if let Some(lease) = store
            .take_lease(partition, "fanout", &two, LONG, 0)
            .await
            .unwrap()
        {
            break lease;
        }
    };
    assert!(held.token > late.token);
    let id = LogId {
        epoch: 1,
        number: 1,
    };
    let refused = store.move_mark(&late, id, 1, &[]).await;
    assert!(matches!(refused, Err(Error::Fenced(_))), "{refused:?}");
    store.move_mark(&held, id, 1, &[]).await.unwrap();
    assert_eq!(store.mark(partition, "fanout").await.unwrap(), id);
    store.release_lease(&held).await.unwrap();
    let above = held.token + 7;
    let again = store
        .take_lease(partition, "fanout", &one, LONG, above)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.token, above + 1);
}

#[tokio::test]
async fn the_log_is_read_in_order_and_trimmed_only_behind_every_reader() {
    let (redis, store) = store().await;
    let lobby = room("lobby");
    for text in ["one", "two", "three"] {
        append(&store, says(&lobby, CHANNEL, "ann", "", text), (0, 0)).await;
    }
    let partition = store.keys().of_room(&lobby);
    let mut reader = store.reader(100, Duration::from_millis(200)).unwrap();
    let batches = reader.read(&[(partition, LogId::default())]).await.unwrap();
    let ids: Vec<LogId> = batches[0].entries.iter().map(|entry| entry.id).collect();
    assert_eq!(batches[0].entries.len(), 3);
    let last = ids[2];
    let name = process("one");
    let archiver = store
        .take_lease(partition, "archiver", &name, LONG, 0)
        .await
        .unwrap()
        .unwrap();
    let fanout = store
        .take_lease(partition, "fanout", &name, LONG, 0)
        .await
        .unwrap()
        .unwrap();
    let roles = ["archiver", "fanout"];
    assert_eq!(
        store.move_mark(&archiver, last, 3, &roles).await.unwrap(),
        0
    );
    store.move_mark(&fanout, ids[1], 2, &[]).await.unwrap();
    assert_eq!(
        store.move_mark(&archiver, last, 0, &roles).await.unwrap(),
        2
    );
    let places = [(partition, ids[1]), (Partition(3), LogId::default())];
    let backlog = store.backlog("fanout", &places).await.unwrap();
    assert_eq!((backlog[0].length, backlog[0].behind), (1, 1));
    assert!(backlog[0].oldest_time.is_some());
    let done = store
        .backlog("archiver", &[(partition, last)])
        .await
        .unwrap();
    assert_eq!((done[0].length, done[0].behind), (1, 0));
    assert!(reader.read(&[(partition, last)]).await.unwrap().is_empty());
    // The mark shows as a consumer group's place.
    let mut connection = redis.connection().unwrap();
    let groups: Vec<std::collections::HashMap<String, redis::Value>> = redis::cmd("XINFO")
        .arg("GROUPS")
        .arg(log_key(&mut connection))
        .query(&mut connection)
        .unwrap();
    assert_eq!(groups.len(), 2);
}

#[tokio::test]
async fn a_batch_is_never_of_a_later_epoch_than_it_says() {
    let (mut redis, store) = store().await;
    // With `everysec` a kill may take along what waits behind a slow sync.
    let mut connection = redis.connection().unwrap();
    redis::cmd("CONFIG")
        .arg(&["set", "appendfsync", "always"])
        .query::<String>(&mut connection)
        .unwrap();
    let lobby = room("lobby");
    append(&store, says(&lobby, CHANNEL, "ann", "", "one"), (0, 0)).await;
    let partition = store.keys().of_room(&lobby);
    let mut reader = store.reader(100, Duration::from_millis(200)).unwrap();
    let first = reader.read(&[(partition, LogId::default())]).await.unwrap();
    assert_eq!(first[0].epoch, 1);
    let place = first[0].entries[0].id;
    redis.restart().unwrap();
    let store = chinwag_store::Store::connect(crate::support::config(&redis))
        .await
        .unwrap();
    // Another server: the reader must not say what it learnt from the one before.
    let mut later = store.reader(100, Duration::from_millis(10)).unwrap();
    assert!(later.read(&[(partition, place)]).await.unwrap().is_empty());
    append(&store, says(&lobby, CHANNEL, "ann", "", "two"), (1, 1)).await;
    let stale = later.read(&[(partition, place)]).await.unwrap();
    assert!(stale.is_empty(), "{stale:?}");
    let fresh = later.read(&[(partition, place)]).await.unwrap();
    assert_eq!((fresh[0].epoch, fresh[0].entries.len()), (2, 1));
    let moved = loop {
        match reader.read(&[(partition, place)]).await {
            Ok(batches) if !batches.is_empty() => break batches,
            Ok(_) | Err(Error::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(moved[0].epoch, 2);
}

#[tokio::test]
async fn an_entry_that_somebody_else_wrote_does_not_stop_the_log() {
    let (redis, store) = store().await;
    let lobby = room("lobby");
    append(&store, says(&lobby, CHANNEL, "ann", "", "one"), (0, 0)).await;
    let mut connection = redis.connection().unwrap();
    let key = log_key(&mut connection);
    for field in ["r", "x"] {
        let mut command = redis::cmd("XADD");
        command.arg(&key).arg("1-*").arg(field).arg("{no room}");
        command.query::<String>(&mut connection).unwrap();
    }
    let partition = store.keys().of_room(&lobby);
    let mut reader = store.reader(100, Duration::from_millis(200)).unwrap();
    let batches = reader.read(&[(partition, LogId::default())]).await.unwrap();
    let readable: Vec<bool> = batches[0]
        .entries
        .iter()
        .map(|entry| entry.read().is_some())
        .collect();
    assert_eq!(readable, [true, false, false]);
}

#[tokio::test]
async fn what_lets_go_of_memory_works_when_it_is_full() {
    let (redis, store) = store().await;
    let lobby = room("lobby");
    append(&store, says(&lobby, CHANNEL, "ann", "", "one"), (0, 0)).await;
    let partition = store.keys().of_room(&lobby);
    let mut connection = redis.connection().unwrap();
    let set = ["set", "maxmemory", "1"];
    redis::cmd("CONFIG")
        .arg(&set)
        .query::<String>(&mut connection)
        .unwrap();
    let draft = says(&lobby, CHANNEL, "ann", "", "two");
    let refused = store.append(partition, &[draft]).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    let mut reader = store.reader(10, Duration::from_millis(10)).unwrap();
    let batches = reader.read(&[(partition, LogId::default())]).await.unwrap();
    let last = batches[0].entries[0].id;
    store.touch_rooms(&lobby, &[user("ann")], 7).await.unwrap();
    let rooms = [
        (lobby.clone(), Position::new(1, 1)),
        (room("missing"), Position::new(1, 1)),
    ];
    store.mark_archived(&rooms).await.unwrap();
    assert_eq!(store.positions(&[room("missing")]).await.unwrap(), [None]);
    let name = process("one");
    let mut trimmed = 0;
    for role in ["fanout", "archiver"] {
        let lease = store.take_lease(partition, role, &name, LONG, 0).await;
        let lease = lease.unwrap().unwrap();
        let roles = ["archiver", "fanout"];
        trimmed = store.move_mark(&lease, last, 1, &roles).await.unwrap();
    }
    assert_eq!(trimmed, 1);
}

fn log_key(connection: &mut redis::Connection) -> String {
    let keys: Vec<String> = redis::cmd("KEYS").arg("log:*").query(connection).unwrap();
    keys[0].clone()
}

#[tokio::test]
async fn a_name_that_ran_out_stays_dead() {
    let (_redis, store) = store().await;
    let name = process("gateway");
    assert!(store.renew_gateway(&name, SHORT, true).await.unwrap());
    while store
        .renew_gateway(&name, Duration::ZERO, false)
        .await
        .unwrap()
    {}
    assert!(!store.renew_gateway(&name, LONG, false).await.unwrap());
}

#[tokio::test]
async fn presence_is_what_sessions_at_living_gateways_say() {
    let (_redis, store) = store().await;
    let (ann, gateway) = (user("ann"), process("gateway"));
    let profile = Profile {
        display_name: "Ann".to_owned(),
        created: 1,
    };
    assert!(
        store
            .create_user(&ann, &profile, Some("hash"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .create_user(&ann, &profile, Some("other"))
            .await
            .unwrap()
    );
    assert_eq!(store.password(&ann).await.unwrap().as_deref(), Some("hash"));
    let client = ClientId::new("c-1").unwrap();
    store.open_session(&gateway, &ann, &client).await.unwrap();
    let partition = store.keys().of_user(&ann);
    assert_eq!(
        store.presence_work(partition, 10).await.unwrap(),
        std::slice::from_ref(&ann)
    );
    let users = [ann.clone()];
    let settled = store.settle_presence(&users, &[]).await.unwrap();
    assert!(settled[0].changed && settled[0].online);
    assert!(store.user(&ann).await.unwrap().unwrap().online);
    assert_eq!(store.gateways_of(&users).await.unwrap()[&gateway], users);
    let online = store.online_users(partition, 0, 10).await.unwrap();
    assert_eq!(online, (vec![ann.clone()], 0));
    // The gateway dies without a word: its sessions are worth nothing.
    let dead = [gateway.clone()];
    let settled = store.settle_presence(&users, &dead).await.unwrap();
    assert!(settled[0].changed && !settled[0].online);
    assert_eq!(store.session_count(&ann).await.unwrap(), 0);
    assert_eq!(store.held_users(partition, &gateway).await.unwrap(), users);
    let lease = store
        .take_lease(partition, "presence", &gateway, LONG, 0)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.finish_presence(&lease, 1).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_of_a_channel_come_and_go() {
    let (_redis, store) = store().await;
    let (lobby, gateway) = (room("lobby"), process("gateway"));
    let occupant = Occupant {
        user: "ann".to_owned(),
        client: ClientId::new("c-1").unwrap(),
        connection_info: Some(b"{}".to_vec()),
        channel_info: None,
    };
    store
        .enter_channel(&lobby, &gateway, &occupant, true)
        .await
        .unwrap();
    assert_eq!(
        store.occupants(&lobby).await.unwrap(),
        [(gateway.clone(), occupant.clone())]
    );
    let partition = store.keys().of_room(&lobby);
    assert_eq!(
        store.held_rooms(partition, &gateway).await.unwrap(),
        std::slice::from_ref(&lobby)
    );
    // Who has come again by another name of the gateway stays.
    let (other, them) = (process("two"), std::slice::from_ref(&occupant));
    store.evict(&lobby, &other, them).await.unwrap();
    let again = [(lobby.clone(), occupant.clone())];
    store.enter_channels(&other, &again).await.unwrap();
    store.evict(&lobby, &gateway, them).await.unwrap();
    assert_eq!(
        store.occupants(&lobby).await.unwrap(),
        [(other.clone(), occupant.clone())]
    );
    store.evict(&lobby, &other, them).await.unwrap();
    assert!(store.occupants(&lobby).await.unwrap().is_empty());
    store.enter_channels(&other, &again).await.unwrap();
    store.leave_channel(&lobby, &occupant, false).await.unwrap();
    assert!(store.occupants(&lobby).await.unwrap().is_empty());
}

//! The same store on each topology, and what it does when servers come and go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chinwag_protocol::event::Kind;
use chinwag_protocol::id::{ClientId, RoomId, UserId};
use chinwag_protocol::position::Position;
use chinwag_store::append::Appended;
use chinwag_store::channel::{Heard, Listener, Notice, Order, Signal};
use chinwag_store::log::LogId;
use chinwag_store::mark::Fate;
use chinwag_store::{Config, Error, Partition, Store};
use chinwag_tests::redis_cluster::RedisCluster;
use chinwag_tests::redis_sentinel::{NAME, Sentinels};
use chinwag_tests::redis_server::Server;

use crate::support::{CHANNEL, append, process, says, user};

const PARTITIONS: u16 = 16;
/// What a failover may take from the death of a primary to the first append.
const OUTAGE: Duration = Duration::from_secs(12);

fn config(url: &str) -> Config {
    Config {
        url: url.to_owned(),
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(2),
        partitions: PARTITIONS,
    }
}

async fn connect(url: &str) -> Store {
    Store::connect(config(url)).await.unwrap()
}

async fn refusal(url: &str) -> String {
    Store::connect(config(url)).await.err().unwrap().to_string()
}

/// A room in each partition.
fn rooms(store: &Store) -> Vec<RoomId> {
    let mut found = BTreeMap::new();
    for number in 0.. {
        let room = RoomId::new(format!("room-{number}")).unwrap();
        found.entry(store.keys().of_room(&room)).or_insert(room);
        if found.len() == usize::from(PARTITIONS) {
            break;
        }
    }
    found.into_values().collect()
}

/// Appends to a room until it works; how long that took. Does what errors say, as a gateway does.
async fn append_at_last(store: &Store, room: &RoomId, id: &str) -> Duration {
    let began = Instant::now();
    let mut draft = [says(room, CHANNEL, "ann", id, "hi")];
    let partition = store.keys().of_room(room);
    while began.elapsed() < 2 * OUTAGE {
        match store.append(partition, &draft).await {
            Ok(answers) => match answers[0] {
                Appended::NeedReconcile { epoch } => {
                    drop(store.reconcile(room, epoch, (0, 0), Kind::Channel).await);
                }
                Appended::Written(_) | Appended::Repeated(_) => return began.elapsed(),
                Appended::Look => draft[0].looked = true,
                other => panic!("{other:?}"),
            },
            Err(Error::NeedEpoch { run_id }) => {
                if let Ok(epoch) = store.epoch(partition).await {
                    drop(store.install_epoch(partition, epoch + 1, &run_id).await);
                }
            }
            Err(error @ Error::Unavailable(_)) => {
                drop(error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no append within {:?}", began.elapsed());
}

/// The next thing heard.
async fn hear(listener: &mut Listener) -> Heard {
    let heard = tokio::time::timeout(2 * OUTAGE, listener.heard.recv()).await;
    heard
        .expect("something in time")
        .expect("a listener that lives")
}

/// Waits until a message is heard in each of the rooms, mending what is torn.
async fn hear_in(listener: &mut Listener, rooms: &[RoomId], id: &str) {
    let has = |payload: &[u8]| payload.windows(id.len()).any(|part| part == id.as_bytes());
    let (mut open, mut torn): (Vec<&RoomId>, bool) = (rooms.iter().collect(), false);
    let began = Instant::now();
    while !open.is_empty() {
        assert!(began.elapsed() < 2 * OUTAGE, "not heard in {open:?}");
        let next = tokio::time::timeout(Duration::from_millis(100), listener.heard.recv());
        match next.await {
            Ok(Some(Heard::Room(heard, payload))) if has(&payload) => {
                open.retain(|room| **room != heard);
            }
            Ok(Some(Heard::Torn)) => torn = true,
            Ok(Some(_)) => {}
            Ok(None) => panic!("the listener has ended"),
            Err(_) if torn => torn = !listener.ear().mend().await.1,
            Err(_) => {}
        }
    }
}

/// Everything that concerns several partitions at once, and so perhaps several servers.
async fn everything_works(store: &Store) {
    let rooms = rooms(store);
    let mut listener = store.listen(1000).await.unwrap();
    let gateway = process("gateway");
    listener.ear().join_as_gateway(&gateway).await.unwrap();
    listener.ear().join_as_presence_worker().await.unwrap();
    listener.ear().join(&rooms).await.unwrap();
    for room in &rooms {
        append(store, says(room, CHANNEL, "ann", "m-1", "hi"), (0, 0)).await;
    }
    let data = Signal::Data(b"{}".to_vec());
    let signals: Vec<_> = rooms
        .iter()
        .map(|room| (room.clone(), data.clone()))
        .collect();
    store.signals(&signals).await.unwrap();
    let archived: Vec<_> = rooms
        .iter()
        .map(|room| (room.clone(), Position::new(1, 1)))
        .collect();
    store.mark_archived(&archived).await.unwrap();
    let users: Vec<UserId> = (0..40)
        .map(|number| user(&format!("user-{number}")))
        .collect();
    for user in &users {
        let client = ClientId::new(format!("client-{user}")).unwrap();
        store.open_session(&gateway, user, &client).await.unwrap();
    }
    let (room, seq) = (rooms[0].clone(), 1);
    let notice = Notice::Vanish {
        room: room.clone(),
        users: users.clone(),
    };
    store
        .notify_all(&[(gateway.clone(), notice)])
        .await
        .unwrap();
    store
        .order(&Order::Subscribe {
            user: users[0].clone(),
            room,
        })
        .await
        .unwrap();
    hears_everything(&mut listener, &rooms, users.len()).await;
    listener.ear().ping().await.unwrap();

    let positions = store.positions(&rooms).await.unwrap();
    assert_eq!(positions, vec![Some(Position::new(1, seq)); rooms.len()]);
    let overviews = store.overviews(&rooms, &users[0]).await.unwrap();
    assert!(
        overviews
            .iter()
            .all(|room| room.as_ref().unwrap().messages == 1)
    );
    let places: Vec<_> = rooms
        .iter()
        .map(|room| (room.clone(), Position::new(1, 1)))
        .collect();
    let fates = store.fates(&places).await.unwrap();
    assert_eq!(fates, vec![Fate::Archived; rooms.len()]);
    assert_eq!(
        store.gateways_of(&users).await.unwrap()[&gateway].len(),
        users.len()
    );
    let settled = store.settle_presence(&users, &[]).await.unwrap();
    assert!(settled.iter().all(|settled| settled.online));
    store.touch_rooms(&rooms[0], &users, 7).await.unwrap();
    assert_eq!(store.users(&users).await.unwrap().len(), users.len());
    store
        .watch(&gateway, &users[0], &rooms, true)
        .await
        .unwrap();
    let watchers = store.watchers(&rooms).await.unwrap();
    assert!(watchers.iter().all(|watchers| watchers.len() == 1));
    assert!(store.renew_gateway(&gateway, OUTAGE, true).await.unwrap());
    let (gateways, now) = store.gateways().await.unwrap();
    assert!(gateways[0].expiry > now, "both by the same clock");
    assert!(store.server_usage().await.unwrap().used_memory > 0);
    logs_are_read(store).await;
}

async fn hears_everything(listener: &mut Listener, rooms: &[RoomId], users: usize) {
    let mut in_rooms: BTreeMap<RoomId, usize> = BTreeMap::new();
    let (mut archived, mut wakes, mut others) = (0, 0, 0);
    while in_rooms.values().sum::<usize>() < 2 * rooms.len()
        || archived < rooms.len()
        || wakes < users
        || others < 2
    {
        match hear(listener).await {
            Heard::Room(room, _) => *in_rooms.entry(room).or_default() += 1,
            Heard::Archived(rooms) => archived += rooms.len(),
            Heard::Wake(_) => wakes += 1,
            Heard::Notice(_) | Heard::Order(_) => others += 1,
            Heard::Handover | Heard::Torn => panic!("nothing has happened"),
        }
    }
    assert!(in_rooms.values().all(|count| *count == 2), "{in_rooms:?}");
    assert_eq!(
        (archived, wakes, others),
        (rooms.len(), users, 2),
        "each once"
    );
}

async fn logs_are_read(store: &Store) {
    let mut reader = store.reader(10, Duration::from_millis(500)).unwrap();
    let mut places: BTreeMap<Partition, LogId> = (0..PARTITIONS)
        .map(|number| (Partition(number), LogId::default()))
        .collect();
    let mut read = 0;
    while read < usize::from(PARTITIONS) {
        let at: Vec<_> = places.iter().map(|(at, id)| (*at, *id)).collect();
        for batch in reader.read(&at).await.unwrap() {
            read += batch.entries.len();
            places.insert(batch.partition, batch.entries.last().unwrap().id);
        }
    }
    assert_eq!(read, usize::from(PARTITIONS), "each entry once");
    let places: Vec<_> = places.into_iter().collect();
    let backlog = store.backlog("archiver", &places).await.unwrap();
    assert!(backlog.iter().all(|log| log.length == 1 && log.behind == 0));
}

#[tokio::test]
async fn one_server_serves_everything() {
    let server = Server::start(&[]).unwrap();
    let url = format!("redis://{}", server.address());
    everything_works(&connect(&url).await).await;
    for (url, fix) in [
        (
            format!("redis+cluster://{}", server.address()),
            "write redis://",
        ),
        (format!("{url},{}", server.address()), "is named twice"),
        (
            format!("{url},127.0.0.1:1"),
            "holds a deployment of its own",
        ),
    ] {
        let problem = refusal(&url).await;
        assert!(problem.contains(fix), "{problem}");
    }
}

#[tokio::test]
async fn a_killed_primary_is_replaced_by_the_one_that_sentinels_name() {
    let mut redis = Sentinels::start(Duration::from_secs(1)).unwrap();
    let store = connect(&redis.url()).await;
    everything_works(&store).await;
    let room = rooms(&store)[0].clone();
    let mut listener = store.listen(1000).await.unwrap();
    redis.servers[0].kill();
    assert!(matches!(
        listener.heard.recv().await,
        None | Some(Heard::Torn)
    ));
    let outage = append_at_last(&store, &room, "m-2").await;
    println!("an append after {outage:?}");
    assert!(outage < OUTAGE, "{outage:?}");
    let mut listener = store.listen(1000).await.unwrap();
    listener
        .ear()
        .join(std::slice::from_ref(&room))
        .await
        .unwrap();
    append_at_last(&store.another().unwrap(), &room, "m-3").await;
    hear_in(&mut listener, std::slice::from_ref(&room), "m-3").await;
    listener.ear().ping().await.unwrap();
}

/// A primary that was cut off from its sentinels answers as if nothing had happened.
#[tokio::test]
async fn a_primary_that_sentinels_no_longer_mean_is_left_although_it_answers() {
    let (old, new) = (Server::start(&[]).unwrap(), Server::start(&[]).unwrap());
    let monitor =
        |server: &Server| format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", server.port());
    let sentinel = Server::sentinel(&monitor(&old)).unwrap();
    let url = format!("redis+sentinel://{}/{NAME}", sentinel.address());
    let store = connect(&url).await;
    let other = store.another().unwrap();
    other.time().await.unwrap();
    let listener = store.listen(10).await.unwrap();
    listener.ear().ping().await.unwrap();
    sentinel
        .ask::<String>(&["SENTINEL", "REMOVE", NAME])
        .unwrap();
    let port = new.port().to_string();
    sentinel
        .ask::<String>(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "1"])
        .unwrap();
    let began = Instant::now();
    let lobby = RoomId::new("lobby").unwrap();
    while new.ask::<usize>(&["DBSIZE"]).unwrap() == 0 {
        store.time().await.unwrap();
        other.list_open_room(&lobby).await.unwrap();
        assert!(began.elapsed() < OUTAGE, "the old one is still believed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(store.open_rooms(None, 9).await.unwrap()[0].0, lobby);
    let error = listener.ear().ping().await.unwrap_err();
    assert!(
        error.to_string().contains("nobody listens there"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_goes_on_when_a_slot_moves_and_when_a_primary_dies() {
    let mut redis = RedisCluster::start().unwrap();
    let store = connect(&redis.url()).await;
    everything_works(&store).await;
    let problem = refusal(&format!("redis://{}", redis.servers[0].address())).await;
    assert!(problem.contains("write redis+cluster://"), "{problem}");

    // A room that is not at home, so that only its part of the listener is torn.
    let home = redis.owner("chinwag").unwrap();
    let owner = |room: &RoomId| redis.owner(&store.keys().channel_of(room)).unwrap();
    let room = rooms(&store)
        .into_iter()
        .find(|room| owner(room) != home)
        .unwrap();
    let (from, channel) = (owner(&room), store.keys().channel_of(&room));
    let mut listener = store.listen(1000).await.unwrap();
    listener
        .ear()
        .join(std::slice::from_ref(&room))
        .await
        .unwrap();
    let partition = store.keys().of_room(&room);
    let mut reader = store.reader(10, Duration::from_millis(500)).unwrap();
    let batches = reader.read(&[(partition, LogId::default())]).await.unwrap();
    let place = batches[0].entries[0].id;

    redis
        .move_slot(redis.slot(&channel).unwrap(), from, home)
        .unwrap();
    append_at_last(&store, &room, "m-2").await;
    // It was published while nobody listened, or heard by whoever was quick enough.
    while !listener.ear().mend().await.1 {}
    append_at_last(&store, &room, "m-3").await;
    hear_in(&mut listener, std::slice::from_ref(&room), "m-3").await;
    let mut entries = Vec::new();
    while entries.len() < 2 {
        let at = entries.last().copied().unwrap_or(place);
        for batch in reader.read(&[(partition, at)]).await.unwrap_or_default() {
            entries.extend(batch.entries.iter().map(|entry| entry.id));
        }
    }
    assert!(entries.is_sorted() && entries[0] > place, "{entries:?}");

    let other = rooms(&store).into_iter().find(|room| {
        let at = redis.owner(&store.keys().channel_of(room)).unwrap();
        at != home && at != from
    });
    let other = other.unwrap();
    listener
        .ear()
        .join(std::slice::from_ref(&other))
        .await
        .unwrap();
    let dies = redis.owner(&store.keys().channel_of(&other)).unwrap();
    redis.servers[dies].kill();
    let elsewhere = append_at_last(&store, &room, "m-4").await;
    assert!(elsewhere < Duration::from_secs(2), "{elsewhere:?}");
    hear_in(&mut listener, std::slice::from_ref(&room), "m-4").await;
    let outage = append_at_last(&store, &other, "m-5").await;
    println!("an append after {outage:?}");
    assert!(outage < OUTAGE, "{outage:?}");
    while !listener.ear().mend().await.1 {}
    append_at_last(&store, &other, "m-6").await;
    hear_in(&mut listener, std::slice::from_ref(&other), "m-6").await;
    redis.servers[dies].restart().unwrap();
    redis.settle().unwrap();
}

#[tokio::test]
async fn servers_of_a_map_share_the_partitions_and_fail_alone() {
    let mut servers: Vec<Server> = (0..3).map(|_| Server::start(&[]).unwrap()).collect();
    let at = |order: [usize; 3]| order.map(|place| servers[place].address()).join(",");
    let (url, wrong) = (
        format!("redis://{}", at([0, 1, 2])),
        format!("redis://{}", at([1, 0, 2])),
    );
    let store = connect(&url).await;
    everything_works(&store).await;
    let problem = refusal(&wrong).await;
    assert!(
        problem.contains(&format!("set redis.url = {url}")),
        "{problem}"
    );
    let problem = refusal(&format!("redis://{}", servers[0].address())).await;
    assert!(
        problem.contains(&format!("set redis.url = {url}")),
        "{problem}"
    );
    for server in &servers {
        assert!(
            server.ask::<usize>(&["DBSIZE"]).unwrap() > 10,
            "each has its share"
        );
    }

    let rooms = rooms(&store);
    let mut listener = store.listen(1000).await.unwrap();
    listener.ear().join(&rooms).await.unwrap();
    servers[1].kill();
    let (mut lost, mut well) = (Vec::new(), Vec::new());
    for room in &rooms {
        let draft = [says(room, CHANNEL, "ann", "m-2", "hi")];
        match store.append(store.keys().of_room(room), &draft).await {
            Ok(_) => well.push(room.clone()),
            Err(Error::Unavailable(_)) => lost.push(room.clone()),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        well.len() > 9 && lost.len() > 4,
        "{} {}",
        well.len(),
        lost.len()
    );
    hear_in(&mut listener, &well, "m-2").await;
    assert!(
        !listener.ear().mend().await.1,
        "one server cannot be listened to"
    );
    // Who starts now has what there is.
    connect(&url).await;

    servers[1].restart().unwrap();
    let mut found = Vec::new();
    while found.is_empty() {
        let (rooms, _) = listener.ear().mend().await;
        found = rooms;
    }
    found.sort();
    lost.sort();
    assert_eq!(found, lost, "the rooms to look at");
    append_at_last(&store, &lost[0], "m-3").await;
    hear_in(&mut listener, &lost[..1], "m-3").await;
}

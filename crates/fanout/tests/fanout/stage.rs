//! A Redis, a fan-out worker, and gateways that listen.

use std::time::Duration;

use chinwag_fanout::Config;
use chinwag_protocol::id::{Incarnation, RoomId, UserId};
use chinwag_store::Store;
use chinwag_store::channel::{Heard, Listener, Notice};
use chinwag_tests::redis::Redis;

use crate::support::{self, Worker, Writer, client, process, user};

pub const INTERVAL: Duration = Duration::from_millis(300);

pub struct Stage {
    pub redis: Redis,
    pub store: Store,
    pub writer: Writer,
}

impl Stage {
    pub async fn new() -> Self {
        let (redis, store) = support::redis().await;
        let writer = Writer::new(&store);
        Self {
            redis,
            store,
            writer,
        }
    }

    /// Starts a worker with a lease of a second, for which a room of more than 3 is large.
    pub fn start(&self) -> Worker {
        self.start_at_pace(INTERVAL)
    }

    /// The same, with another pace of the lists.
    pub fn start_at_pace(&self, interval: Duration) -> Worker {
        let redis = support::config(&self.redis);
        Worker::start("fanout", move |context| async move {
            let store = Store::connect(redis).await.unwrap();
            let config = Config {
                lease: Duration::from_secs(1),
                activity_interval: interval,
                large_room_interval: 4 * interval,
                large_room: 3,
                ..Config::default()
            };
            chinwag_fanout::run(config, store, context).await.unwrap();
        })
    }

    /// A gateway that lives for a minute, at which these users have a session each.
    pub async fn gateway(&self, name: &str, users: &[&str]) -> Gateway {
        let gateway = process(name);
        let minute = Duration::from_secs(60);
        let begun = self.store.renew_gateway(&gateway, minute, true);
        assert!(begun.await.unwrap());
        let listener = self.store.listen(1000).await.unwrap();
        listener.ear().join_as_gateway(&gateway).await.unwrap();
        for name in users {
            let session = client(&format!("{gateway}-{name}"));
            let who = user(name);
            let opened = self.store.open_session(&gateway, &who, &session);
            opened.await.unwrap();
        }
        Gateway {
            name: gateway,
            listener,
        }
    }
}

impl Stage {
    /// Has a user's session at a gateway watch a room.
    pub async fn watch(&self, gateway: &Incarnation, name: &str, room: &RoomId) {
        let (user, rooms) = (user(name), std::slice::from_ref(room));
        let watched = self.store.watch(gateway, &user, rooms, true);
        watched.await.unwrap();
    }
}

pub struct Gateway {
    pub name: Incarnation,
    listener: Listener,
}

impl Gateway {
    /// The next notice.
    pub async fn hears(&mut self) -> Notice {
        let patience = Duration::from_secs(20);
        let heard = tokio::time::timeout(patience, self.listener.heard.recv());
        match heard.await.expect("nothing is heard") {
            Some(Heard::Notice(notice)) => notice,
            other => panic!("{other:?}"),
        }
    }
}

pub fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

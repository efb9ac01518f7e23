//! A Redis, a presence worker, and gateways that have sessions.

use std::time::Duration;

use chinwag_presence::Config;
use chinwag_protocol::id::{Incarnation, RoomId};
use chinwag_store::channel::{Heard, Listener, Signal};
use chinwag_store::presence::Occupant;
use chinwag_store::{Store, user::Profile};
use chinwag_tests::redis::Redis;

use crate::support::{self, Worker, Writer, client, process, until, user};

/// How long a gateway that dies counts as alive.
pub const LEASE: Duration = Duration::from_secs(1);

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

    /// Starts a worker with a lease of a second, which looks twice a second.
    pub fn start(&self) -> Worker {
        let redis = support::config(&self.redis);
        Worker::start("presence", move |context| async move {
            let store = Store::connect(redis).await.unwrap();
            let config = Config {
                lease: Duration::from_secs(1),
                interval: Duration::from_millis(500),
            };
            chinwag_presence::run(config, store, context).await.unwrap();
        })
    }

    /// Registers a user.
    pub async fn register(&self, name: &str) {
        let profile = Profile {
            display_name: name.to_owned(),
            created: 1,
        };
        let user = user(name);
        let made = self.store.create_user(&user, &profile, None);
        assert!(made.await.unwrap());
    }

    /// A gateway whose lease is renewed or not, as its owner wants.
    pub async fn gateway(&self, name: &str, lease: Duration) -> Gateway {
        let gateway = process(name);
        let begun = self.store.renew_gateway(&gateway, lease, true);
        assert!(begun.await.unwrap());
        Gateway {
            name: gateway,
            store: self.store.clone(),
        }
    }

    pub async fn is_online(&self, name: &str) -> bool {
        let user = self.store.user(&user(name)).await.unwrap();
        user.is_some_and(|user| user.online)
    }

    pub async fn becomes(&self, name: &str, online: bool) {
        until("the state is so", async || {
            self.is_online(name).await == online
        })
        .await;
    }

    /// Somebody who hears what is said in rooms.
    pub async fn ears(&self, rooms: &[RoomId]) -> Ears {
        let listener = self.store.listen(1000).await.unwrap();
        listener.ear().join(rooms).await.unwrap();
        Ears(listener)
    }
}

pub struct Gateway {
    pub name: Incarnation,
    store: Store,
}

impl Gateway {
    fn session(&self, name: &str) -> chinwag_protocol::id::ClientId {
        client(&format!("{}-{name}", self.name))
    }

    pub async fn opens(&self, name: &str) {
        let (user, session) = (user(name), self.session(name));
        let opened = self.store.open_session(&self.name, &user, &session);
        opened.await.unwrap();
    }

    pub async fn closes(&self, name: &str) {
        let (user, session) = (user(name), self.session(name));
        let closed = self.store.close_session(&self.name, &user, &session, true);
        closed.await.unwrap();
    }

    pub async fn enters(&self, room: &RoomId, name: &str) {
        let occupant = Occupant {
            user: name.to_owned(),
            client: self.session(name),
            connection_info: None,
            channel_info: None,
        };
        let entered = self.store.enter_channel(room, &self.name, &occupant, false);
        entered.await.unwrap();
    }
}

pub struct Ears(Listener);

impl Ears {
    /// The next signal, and where.
    pub async fn hear(&mut self) -> (String, Signal) {
        let patience = Duration::from_secs(20);
        loop {
            let heard = tokio::time::timeout(patience, self.0.heard.recv());
            match heard.await.expect("nothing is heard") {
                Some(Heard::Room(_, payload)) if chinwag_store::record::is_record(&payload) => {}
                Some(Heard::Room(room, payload)) => {
                    return (room.to_string(), Signal::decode(&payload).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next digest, and where.
    pub async fn digest(&mut self) -> (String, serde_json::Value) {
        let (room, Signal::Data(data)) = self.hear().await else {
            panic!("not a digest")
        };
        (room, serde_json::from_slice(&data).unwrap())
    }
}

//! A Redis of one's own, workers that can be killed, and short ways to say what the stories of
//! all workers say often.

#![allow(
    dead_code,
    reason = "each kind of worker tells its stories with some of it"
)]

use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use chinwag_protocol::event::{Content, Kind, Role};
use chinwag_protocol::id::{ClientId, Incarnation, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_runtime::Context;
use chinwag_store::append::{Appended, Draft, Receipt, Rules};
use chinwag_store::room::NewRoom;
use chinwag_store::{Config, Error, Partition, Store};
use chinwag_tests::redis::Redis;

pub const PARTITIONS: u16 = 8;

/// What no story takes unless it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn config(redis: &Redis) -> Config {
    Config {
        url: redis.url(),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(2),
        partitions: PARTITIONS,
    }
}

/// A server without a room, and a store on it.
pub async fn redis() -> (Redis, Store) {
    let redis = Redis::start().unwrap();
    let store = Store::connect(config(&redis)).await.unwrap();
    (redis, store)
}

/// Changes a setting of a server.
pub fn set(redis: &Redis, setting: &str, value: &str) {
    let socket = redis.url().replace("redis+unix://", "");
    let done = Command::new("redis-cli")
        .args(["-s", &socket, "CONFIG", "SET", setting, value])
        .output()
        .unwrap();
    assert_eq!(done.stdout, b"OK\n");
}

/// Has a server keep what it acknowledged even if it is killed. Else what waits behind a slow sync
/// may be lost.
pub fn durable(redis: &Redis) {
    set(redis, "appendfsync", "always");
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

pub fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

/// A worker in a runtime of its own, as if in a process of its own.
pub struct Worker {
    pub context: Context,
    done: tokio::task::JoinHandle<()>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Worker {
    /// Starts `work`, which is given a context.
    pub fn start<F>(role: &'static str, work: impl FnOnce(Context) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let context = Context::new(role);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            done: runtime.spawn(work(context.clone())),
            context,
            runtime: Some(runtime),
        }
    }

    /// Ends it between two instructions, with nothing said to anybody.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) {
        self.context.stop();
        let done = tokio::time::timeout(PATIENCE, &mut self.done).await;
        done.expect("it does not stop").expect("it panicked");
    }

    /// Waits until its role has done all that is in the logs, and stops it.
    pub async fn stop_when_done(self, store: &Store, role: &str) {
        until("all is done", async || {
            let mut left = 0;
            for partition in (0..PARTITIONS).map(Partition) {
                let mark = store.mark(partition, role).await.unwrap();
                let backlog = store.backlog(role, &[(partition, mark)]).await.unwrap();
                left += backlog[0].behind;
            }
            left == 0
        })
        .await;
        self.stop().await;
    }

    /// Whether it has begun, and `/ready` says that all is well.
    pub fn is_ready(&self) -> bool {
        let readiness = self.readiness();
        readiness.ready && !readiness.parts.is_empty()
    }

    /// What `/ready` says.
    pub fn readiness(&self) -> chinwag_runtime::health::Readiness {
        self.context.health().readiness()
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until `look` sees something.
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "never seen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until `look` says that it is so.
pub async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !look().await {
        assert!(begun.elapsed() < PATIENCE, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A room in a partition.
pub fn room_in(store: &Store, partition: u16) -> RoomId {
    (0..)
        .map(|number| room(&format!("room:{number}")))
        .find(|room| store.keys().of_room(room).0 == partition)
        .unwrap()
}

fn rules(members_only: bool) -> Rules {
    Rules {
        members_only,
        history_size: 50,
        history_seconds: 0,
    }
}

/// Whoever is asked to allocate epochs and knows what is archived; nothing, without an archive.
pub trait Authority {
    /// A new epoch for a partition.
    fn epoch(&self, partition: u16, run: &str, above: u64) -> impl Future<Output = u64> + Send;
    /// The archived sequence and count of messages of a room.
    fn high(&self, room: &RoomId) -> impl Future<Output = (u64, u64)> + Send;
}

/// No archive.
pub struct Nothing;

impl Authority for Nothing {
    async fn epoch(&self, _: u16, _: &str, above: u64) -> u64 {
        above + 1
    }
    async fn high(&self, _: &RoomId) -> (u64, u64) {
        (0, 0)
    }
}

/// Writes to rooms as a gateway does.
pub struct Writer<A = Nothing> {
    pub store: Store,
    pub authority: A,
}

impl Writer {
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            authority: Nothing,
        }
    }
}

impl<A: Authority> Writer<A> {
    /// Says something in a channel that anybody may write to, as a message.
    pub async fn say(&self, room: &RoomId, who: &str, id: &str) -> Receipt {
        self.send(room, false, who, id).await
    }

    /// Says something in a room of members.
    pub async fn tell(&self, room: &RoomId, who: &str, id: &str) -> Receipt {
        self.send(room, true, who, id).await
    }

    /// Publishes into a channel.
    pub async fn publish(&self, room: &RoomId, who: &str) -> Receipt {
        let data = Json::of("news");
        let content = Content::Publication { data };
        let draft = Draft::new(
            room.clone(),
            rules(false),
            Some(user(who)),
            None,
            None,
            &content,
        );
        self.append(&draft).await
    }

    async fn send(&self, room: &RoomId, members_only: bool, who: &str, id: &str) -> Receipt {
        let rules = rules(members_only);
        let content = Content::Message {
            body: Json::of(&format!("says {id}")),
        };
        let id = (!id.is_empty()).then(|| MessageId::new(id).unwrap());
        let draft = Draft::new(room.clone(), rules, Some(user(who)), None, id, &content);
        self.append(&draft).await
    }

    /// Appends a draft, and does what Redis asks for.
    pub async fn append(&self, draft: &Draft) -> Receipt {
        let partition = self.store.keys().of_room(&draft.room);
        let begun = Instant::now();
        let mut draft = draft.clone();
        loop {
            assert!(begun.elapsed() < PATIENCE, "never written: {draft:?}");
            let drafts = std::slice::from_ref(&draft);
            match self.store.append(partition, drafts).await {
                Ok(answers) => match answers[0] {
                    Appended::Written(receipt) | Appended::Repeated(receipt) => return receipt,
                    Appended::NeedReconcile { epoch } => {
                        let high = self.authority.high(&draft.room).await;
                        let store = &self.store;
                        let reconciled = store.reconcile(&draft.room, epoch, high, Kind::Channel);
                        reconciled.await.unwrap();
                    }
                    Appended::Look => draft.looked = true,
                    other => panic!("{other:?}: {draft:?}"),
                },
                Err(error) => self.repair(partition.0, error).await,
            }
        }
    }

    async fn repair(&self, partition: u16, error: Error) {
        match error {
            Error::NeedEpoch { run_id } => {
                let partition = Partition(partition);
                let above = self.store.epoch(partition).await.unwrap();
                let epoch = self.authority.epoch(partition.0, &run_id, above).await;
                match self.store.install_epoch(partition, epoch, &run_id).await {
                    Ok(()) | Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Error::Unavailable(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            error => panic!("{error}"),
        }
    }

    /// Makes a group of these members, the first of whom owns it.
    pub async fn group(&self, name: &str, members: &[&str]) -> RoomId {
        self.make(name, Kind::Group, members).await
    }

    /// Makes a room.
    pub async fn make(&self, name: &str, kind: Kind, members: &[&str]) -> RoomId {
        let new = NewRoom {
            room: room(name),
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
        loop {
            match self.store.create_room(&new).await {
                Ok(made) => {
                    assert!(made);
                    return new.room;
                }
                Err(error) => {
                    let partition = self.store.keys().of_room(&new.room);
                    self.repair(partition.0, error).await;
                }
            }
        }
    }
}

//! The real thing: a redis-server, and an archive.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::Archive;
use chinwag_protocol::event::{Content, Event, RoomChange};
use chinwag_protocol::id::{Incarnation, MessageId, RoomId, UserId};
use chinwag_protocol::json::Json;
use chinwag_store::append::{Draft, Rules};
use chinwag_store::{Config, Partition, Store};
use chinwag_tests::redis::Redis;
use tempfile::TempDir;

use crate::expected::{Label, Name};
use crate::step::{GROUP, ROOMS, Say};

/// The only partition.
pub const PARTITION: Partition = Partition(0);

pub struct System {
    redis: Redis,
    pub store: Store,
    pub archive: Arc<dyn Archive>,
    _folder: TempDir,
}

impl System {
    pub async fn new() -> Self {
        let redis = Redis::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("archive.db").display());
        let store = connect(&redis).await;
        Self {
            archive: chinwag_archive::open(&url).await.unwrap(),
            store,
            redis,
            _folder: folder,
        }
    }

    fn file(&self) -> PathBuf {
        let folder = self.redis.folder().join("appendonlydir");
        folder.join("appendonly.aof.1.incr.aof")
    }

    /// How much Redis has written. All that it has answered, because it syncs always.
    pub fn size(&self) -> u64 {
        self.file().metadata().unwrap().len()
    }

    /// Kills Redis, cuts its file, and starts it again.
    pub async fn crash(&mut self, size: u64) {
        self.redis.kill();
        let file = OpenOptions::new().write(true).open(self.file()).unwrap();
        file.set_len(size).unwrap();
        self.redis.restart().unwrap();
        self.store = connect(&self.redis).await;
    }

    pub fn flush(&self) {
        self.command(&["FLUSHALL"]);
    }

    /// Has the archiver's lease run out.
    pub fn expire_lease(&self) {
        let mut connection = self.redis.connection().unwrap();
        let keys = redis::cmd("KEYS")
            .arg("lease:*:archiver")
            .query::<Vec<String>>(&mut connection)
            .unwrap();
        for key in keys {
            self.command(&["DEL", &key]);
        }
    }

    fn command(&self, words: &[&str]) {
        let mut connection = self.redis.connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query::<redis::Value>(&mut connection).unwrap();
    }
}

async fn connect(redis: &Redis) -> Store {
    let config = Config {
        url: redis.url(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(20),
        partitions: 1,
    };
    Store::connect(config).await.unwrap()
}

pub fn room(number: usize) -> RoomId {
    RoomId::new(["news", "room:group", "short"][number]).unwrap()
}

pub fn room_number(room: &RoomId) -> usize {
    (0..ROOMS)
        .find(|number| self::room(*number) == *room)
        .unwrap()
}

pub fn user(number: usize) -> UserId {
    UserId::new(format!("u{number}")).unwrap()
}

pub fn user_number(user: &UserId) -> usize {
    user.as_str()[1..].parse().unwrap()
}

pub fn process(name: &str) -> Incarnation {
    Incarnation::new(name).unwrap()
}

pub fn rules(room: usize) -> Rules {
    Rules {
        members_only: room == GROUP,
        history_size: [16, 8, 2][room],
        history_seconds: 0,
    }
}

pub fn draft(say: &Say, label: &str) -> Draft {
    let body = Json::of(label);
    let id = MessageId::new(format!("m-{}", say.id)).unwrap();
    let content = Content::Message { body };
    let who = user(say.user);
    Draft::new(
        room(say.room),
        rules(say.room),
        Some(who),
        None,
        Some(id),
        &content,
    )
}

/// What an event is told by.
pub fn label(event: &Event) -> Label {
    match &event.content {
        Content::Message { body } => body.as_str().trim_matches('"').to_owned(),
        Content::Member { user, change, .. } => {
            format!("{} {}", user_number(user), change.name())
        }
        Content::Room {
            change: RoomChange::Created,
            ..
        } => "created".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// A message's name.
pub fn name(event: &Event) -> Option<Name> {
    let id = event.id.as_ref()?.as_str()[2..].parse().unwrap();
    Some((user_number(event.sender.as_ref()?), id))
}

//! Sessions: which connections a user has, at which gateways.

use std::collections::BTreeMap;

use chinwag_protocol::id::{ClientId, Incarnation, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// A stored session: version, incarnation, since (ms since 1970). Lua reads the second element.
#[derive(Serialize, Deserialize)]
struct StoredSession(u8, Incarnation, u64);

impl Store {
    /// A user's connection begins at the gateway life `incarnation`.
    ///
    /// # Errors
    /// As every write.
    pub async fn open_session(
        &self,
        incarnation: &Incarnation,
        user: &UserId,
        client: &ClientId,
    ) -> Result<()> {
        let call = self.opening(incarnation, user, client);
        self.link.call(&call).await.map(drop)
    }

    /// The same for many, in one round trip: for a gateway that says again whom it has.
    ///
    /// # Errors
    /// As every write. Some of them may be known then.
    pub async fn open_sessions(
        &self,
        incarnation: &Incarnation,
        sessions: &[(UserId, ClientId)],
    ) -> Result<()> {
        let opening = |(user, client): &(UserId, ClientId)| self.opening(incarnation, user, client);
        let calls: Vec<Call> = sessions.iter().map(opening).collect();
        self.link.calls("open_sessions", &calls).await.map(drop)
    }

    fn opening(&self, incarnation: &Incarnation, user: &UserId, client: &ClientId) -> Call {
        let partition = self.keys.of_user(user);
        let session = StoredSession(1, incarnation.clone(), self.now());
        Call::new("open_session")
            .key(self.keys.sessions(user))
            .key(self.keys.held(partition, incarnation))
            .key(self.keys.presence(partition))
            .key(self.keys.wake(partition))
            .arg(user.as_str())
            .arg(client.as_str())
            .arg(record::encode(&session))
    }

    /// A user's connection ends; `last_here` if they have no other at this gateway.
    ///
    /// # Errors
    /// As every write. If it fails the lease cleans up.
    pub async fn close_session(
        &self,
        incarnation: &Incarnation,
        user: &UserId,
        client: &ClientId,
        last_here: bool,
    ) -> Result<()> {
        let partition = self.keys.of_user(user);
        let call = Call::new("close_session")
            .key(self.keys.sessions(user))
            .key(self.keys.held(partition, incarnation))
            .key(self.keys.presence(partition))
            .key(self.keys.wake(partition))
            .arg(user.as_str())
            .arg(client.as_str())
            .number(u64::from(last_here));
        self.link.call(&call).await.map(drop)
    }

    /// At which gateways users have sessions. Those of dead gateways are not told apart here.
    ///
    /// # Errors
    /// As every read.
    pub async fn gateways_of(
        &self,
        users: &[UserId],
    ) -> Result<BTreeMap<Incarnation, Vec<UserId>>> {
        let mut pipeline = redis::pipe();
        for user in users {
            pipeline.cmd("HVALS").arg(self.keys.sessions(user));
        }
        let answers = self.link.pipeline("gateways_of", &pipeline).await?;
        let mut gateways: BTreeMap<Incarnation, Vec<UserId>> = BTreeMap::new();
        for (user, answer) in users.iter().zip(answers) {
            for bytes in Fields::of("session", answer)?.rest()? {
                let StoredSession(_, incarnation, _) = record::decode_value("session", &bytes)?;
                let here = gateways.entry(incarnation).or_default();
                if here.last() != Some(user) {
                    here.push(user.clone());
                }
            }
        }
        Ok(gateways)
    }

    /// Asks the fan-out workers to tell this gateway of activity in rooms to which a session does
    /// not listen, or to stop that.
    ///
    /// # Errors
    /// As every write.
    pub async fn watch(
        &self,
        incarnation: &Incarnation,
        user: &UserId,
        rooms: &[RoomId],
        watch: bool,
    ) -> Result<()> {
        let field = format!("{incarnation} {user}");
        let mut pipeline = redis::pipe();
        for room in rooms {
            let key = self.keys.watch(room);
            if watch {
                pipeline.cmd("HSET").arg(key).arg(&field).arg(1);
            } else {
                pipeline.cmd("HDEL").arg(key).arg(&field);
            }
        }
        self.link.pipeline("watch", &pipeline).await.map(drop)
    }

    /// Who watches rooms: per room, the gateways and users. Watches of dead gateways are removed
    /// by [`Store::unwatch`].
    ///
    /// # Errors
    /// As every read.
    pub async fn watchers(&self, rooms: &[RoomId]) -> Result<Vec<Vec<(Incarnation, UserId)>>> {
        let mut pipeline = redis::pipe();
        for room in rooms {
            pipeline.cmd("HKEYS").arg(self.keys.watch(room));
        }
        let answers = self.link.pipeline("watchers", &pipeline).await?;
        answers
            .into_iter()
            .map(|answer| {
                let fields = Fields::of("watch", answer)?.texts()?;
                fields.iter().map(|field| watcher(field)).collect()
            })
            .collect()
    }

    /// Removes one watch.
    ///
    /// # Errors
    /// As every write.
    pub async fn unwatch(
        &self,
        room: &RoomId,
        incarnation: &Incarnation,
        user: &UserId,
    ) -> Result<()> {
        let mut command = redis::cmd("HDEL");
        command
            .arg(self.keys.watch(room))
            .arg(format!("{incarnation} {user}"));
        self.link.query("unwatch", &command).await.map(drop)
    }

    /// How many sessions a user has.
    ///
    /// # Errors
    /// As every read.
    pub async fn session_count(&self, user: &UserId) -> Result<u64> {
        let mut command = redis::cmd("HLEN");
        command.arg(self.keys.sessions(user));
        let answer = self.link.query("session_count", &command).await?;
        value::number("sessions", &answer)
    }
}

fn watcher(field: &str) -> Result<(Incarnation, UserId)> {
    let corrupt = |problem: String| Error::corrupt("watch", problem);
    let (incarnation, user) = field
        .split_once(' ')
        .ok_or_else(|| corrupt(format!("field {field:?}")))?;
    Ok((
        Incarnation::new(incarnation).map_err(|error| corrupt(error.to_string()))?,
        UserId::new(user).map_err(|error| corrupt(error.to_string()))?,
    ))
}

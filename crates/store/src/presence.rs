//! Presence: users' states, settled from their sessions, and the clients of channels.

use chinwag_protocol::id::{ClientId, Incarnation, RoomId, UserId};
use chinwag_protocol::json::Json;
use serde::{Deserialize, Serialize};

use crate::channel::Signal;
use crate::connect::Call;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::partition::Partition;
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// A client in a channel, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// The user, empty if anonymous.
    pub user: String,
    /// The connection.
    pub client: ClientId,
    /// What the token said of the connection, JSON.
    #[serde(with = "serde_bytes")]
    pub connection_info: Option<Vec<u8>>,
    /// What the token said of the subscription, JSON.
    #[serde(with = "serde_bytes")]
    pub channel_info: Option<Vec<u8>>,
}

impl Occupant {
    /// What the token said of the connection.
    #[must_use]
    pub fn connection_json(&self) -> Option<Json> {
        self.connection_info
            .clone()
            .map(|bytes| Json::trusted(bytes.into()))
    }

    /// What the token said of the subscription.
    #[must_use]
    pub fn channel_json(&self) -> Option<Json> {
        self.channel_info
            .clone()
            .map(|bytes| Json::trusted(bytes.into()))
    }
}

#[derive(Serialize, Deserialize)]
struct StoredOccupant(u8, Incarnation, Occupant);

/// What settling a user's presence found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Whether the state is another than before.
    pub changed: bool,
    /// Whether the user is online now.
    pub online: bool,
    /// When this was, in milliseconds since 1970 by Redis's clock.
    pub time: u64,
}

impl Store {
    /// The first entries of a partition's list of users to look at. They stay in the list until
    /// [`Store::finish_presence`].
    ///
    /// # Errors
    /// As every read.
    pub async fn presence_work(&self, partition: Partition, limit: usize) -> Result<Vec<UserId>> {
        let mut command = redis::cmd("LRANGE");
        command
            .arg(self.keys.presence(partition))
            .arg(0)
            .arg(limit.max(1) - 1);
        let answer = self.link.query("presence_work", &command).await?;
        let users = Fields::of("presence", answer)?.texts()?;
        users
            .into_iter()
            .map(|user| UserId::new(user).map_err(|error| Error::corrupt("presence", error)))
            .collect()
    }

    /// How many entries wait in a partition's list.
    ///
    /// # Errors
    /// As every read.
    pub async fn presence_waiting(&self, partition: Partition) -> Result<u64> {
        let mut command = redis::cmd("LLEN");
        command.arg(self.keys.presence(partition));
        let answer = self.link.query("presence_waiting", &command).await?;
        value::number("presence", &answer)
    }

    /// Removes the first `count` entries, which are done. Says how many remain.
    ///
    /// # Errors
    /// `Fenced` if the lease is no longer held.
    pub async fn finish_presence(&self, lease: &Lease, count: usize) -> Result<u64> {
        let call = Call::new("finish_work")
            .key(self.keys.lease(lease.partition, lease.role))
            .key(self.keys.presence(lease.partition))
            .arg(lease.holder())
            .number(count as u64);
        value::number("presence", &self.link.call(&call).await?)
    }

    /// Removes users' sessions at `dead` gateways, and makes their states what the others say.
    ///
    /// It is the dead that are named, because only they stay what they are: a gateway that began
    /// a moment ago is in no list that was read before.
    ///
    /// # Errors
    /// As every write.
    pub async fn settle_presence(
        &self,
        users: &[UserId],
        dead: &[Incarnation],
    ) -> Result<Vec<Settled>> {
        let calls: Vec<Call> = users
            .iter()
            .map(|user| {
                let call = Call::new("settle_presence")
                    .key(self.keys.sessions(user))
                    .key(self.keys.user(user))
                    .key(self.keys.online_users(self.keys.of_user(user)))
                    .arg(user.as_str());
                dead.iter()
                    .fold(call, |call, incarnation| call.arg(incarnation.as_str()))
            })
            .collect();
        let answers = self.link.calls("settle_presence", &calls).await?;
        answers
            .into_iter()
            .map(|answer| {
                let mut fields = Fields::of("presence", answer)?;
                Ok(Settled {
                    changed: fields.number()? == 1,
                    online: fields.number()? == 1,
                    time: fields.number()?,
                })
            })
            .collect()
    }

    /// Some of a partition's users who are online, from `cursor` (0 to begin) on, and the cursor
    /// for the next ones, 0 at the end. Somebody may come twice.
    ///
    /// # Errors
    /// As every read.
    pub async fn online_users(
        &self,
        partition: Partition,
        cursor: u64,
        count: usize,
    ) -> Result<(Vec<UserId>, u64)> {
        let mut command = redis::cmd("SSCAN");
        command.arg(self.keys.online_users(partition)).arg(cursor);
        command.arg("COUNT").arg(count);
        let answer = self.link.query("online_users", &command).await?;
        let mut fields = Fields::of("presence", answer)?;
        let next = fields.number()?;
        let users = Fields::of("presence", fields.value()?)?.texts()?;
        let users = users
            .into_iter()
            .map(|user| UserId::new(user).map_err(|error| Error::corrupt("presence", error)));
        Ok((users.collect::<Result<_>>()?, next))
    }

    /// How many users of a partition are online.
    ///
    /// # Errors
    /// As every read.
    pub async fn online_count(&self, partition: Partition) -> Result<u64> {
        let mut command = redis::cmd("SCARD");
        command.arg(self.keys.online_users(partition));
        let answer = self.link.query("online_count", &command).await?;
        value::number("presence", &answer)
    }

    /// The users of a partition who had sessions at a gateway, dead or alive.
    ///
    /// # Errors
    /// As every read.
    pub async fn held_users(
        &self,
        partition: Partition,
        gateway: &Incarnation,
    ) -> Result<Vec<UserId>> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.keys.held(partition, gateway));
        let answer = self.link.query("held_users", &command).await?;
        let users = Fields::of("held", answer)?.texts()?;
        users
            .into_iter()
            .map(|user| UserId::new(user).map_err(|error| Error::corrupt("held", error)))
            .collect()
    }

    /// The rooms of a partition in whose presence a gateway had clients, dead or alive.
    ///
    /// # Errors
    /// As every read.
    pub async fn held_rooms(
        &self,
        partition: Partition,
        gateway: &Incarnation,
    ) -> Result<Vec<RoomId>> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.keys.held_rooms(partition, gateway));
        let answer = self.link.query("held_rooms", &command).await?;
        let rooms = Fields::of("held", answer)?.texts()?;
        rooms
            .into_iter()
            .map(|room| RoomId::new(room).map_err(|error| Error::corrupt("held", error)))
            .collect()
    }

    /// Forgets what a dead gateway held in a partition, after it was swept.
    ///
    /// # Errors
    /// As every write.
    pub async fn forget_held(&self, partition: Partition, gateway: &Incarnation) -> Result<()> {
        let mut command = redis::cmd("DEL");
        command
            .arg(self.keys.held(partition, gateway))
            .arg(self.keys.held_rooms(partition, gateway));
        self.link.query("forget_held", &command).await.map(drop)
    }

    /// A client comes into the presence of a channel; `announce` tells the others.
    ///
    /// # Errors
    /// As every write.
    pub async fn enter_channel(
        &self,
        room: &RoomId,
        gateway: &Incarnation,
        occupant: &Occupant,
        announce: bool,
    ) -> Result<()> {
        let stored = StoredOccupant(1, gateway.clone(), occupant.clone());
        let call = Call::new("enter_channel")
            .key(self.keys.clients(room))
            .key(self.keys.held_rooms(self.keys.of_room(room), gateway))
            .arg(occupant.client.as_str())
            .arg(record::encode(&stored))
            .arg(room.as_str());
        self.link.call(&call).await?;
        if announce {
            self.signal(room, &Signal::Join(occupant.clone())).await?;
        }
        Ok(())
    }

    /// A gateway has no clients any more in the presence of a channel.
    ///
    /// # Errors
    /// As every write.
    pub async fn release_room(&self, room: &RoomId, gateway: &Incarnation) -> Result<()> {
        let mut command = redis::cmd("SREM");
        command
            .arg(self.keys.held_rooms(self.keys.of_room(room), gateway))
            .arg(room.as_str());
        self.link.query("release_room", &command).await.map(drop)
    }

    /// A gateway has clients in the presence of a channel: for whoever released it too early.
    ///
    /// # Errors
    /// As every write.
    pub async fn hold_room(&self, room: &RoomId, gateway: &Incarnation) -> Result<()> {
        let call = Call::new("hold_room")
            .key(self.keys.held_rooms(self.keys.of_room(room), gateway))
            .arg(room.as_str());
        self.link.call(&call).await.map(drop)
    }

    /// A client goes out of the presence of a channel; `announce` tells the others.
    ///
    /// # Errors
    /// As every write.
    pub async fn leave_channel(
        &self,
        room: &RoomId,
        occupant: &Occupant,
        announce: bool,
    ) -> Result<()> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("HDEL")
            .arg(self.keys.clients(room))
            .arg(occupant.client.as_str());
        if announce {
            let signal = Signal::Leave(occupant.clone()).encode();
            pipeline
                .cmd("SPUBLISH")
                .arg(self.keys.channel(room))
                .arg(signal);
        }
        self.link
            .pipeline("leave_channel", &pipeline)
            .await
            .map(drop)
    }

    /// The clients in a channel, with the gateways that hold them.
    ///
    /// # Errors
    /// As every read.
    pub async fn occupants(&self, room: &RoomId) -> Result<Vec<(Incarnation, Occupant)>> {
        let mut command = redis::cmd("HVALS");
        command.arg(self.keys.clients(room));
        let answer = self.link.query("occupants", &command).await?;
        let stored = Fields::of("occupant", answer)?.rest()?;
        stored
            .iter()
            .map(|bytes| {
                let StoredOccupant(_, gateway, occupant) = record::decode_value("occupant", bytes)?;
                Ok((gateway, occupant))
            })
            .collect()
    }
}

//! Presence: users' states, settled from their sessions.

use chinwag_protocol::id::{Incarnation, RoomId, UserId};

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::lease::Lease;
pub use crate::occupant::Occupant;
use crate::partition::Partition;
use crate::store::Store;
use crate::value::{self, Fields};

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
}

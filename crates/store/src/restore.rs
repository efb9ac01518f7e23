//! Bringing a room into the current epoch, with what the archive has and Redis has lost of it.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::Kind;
use chinwag_protocol::id::{RoomId, UserId};

use crate::append::ack_number;
use crate::connect::Call;
use crate::error::Result;
use crate::member::{Membership, role_number};
use crate::record;
use crate::room::{Meta, kind_name};
use crate::store::Store;
use crate::value::{self, Fields};

/// What Redis has of a room that is to be brought into an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The room's last sequence; 0 if Redis does not know the room.
    pub seq: u64,
    /// The epoch it was last reconciled in; 0 if Redis does not know the room.
    pub epoch: u64,
}

/// What the archive has of a room that is to be brought into an epoch.
#[derive(Debug, Clone, Default)]
pub struct Archived {
    /// Its last sequence.
    pub seq: u64,
    /// Its count of messages.
    pub messages: u64,
    /// Epochs that it knows and Redis does not, each with the sequence after which it began,
    /// ascending.
    pub epochs: Vec<(u64, u64)>,
    /// What the room is, if that has to be restored.
    pub made: Option<Restored>,
    /// Memberships that Redis has lost or never heard of; `None` for those that ended.
    pub members: Vec<(UserId, Option<Membership>)>,
}

/// What a room is.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Who made it.
    pub creator: Option<UserId>,
    /// Its own level of acknowledgement.
    pub ack: Option<Ack>,
}

impl Store {
    /// What Redis has of a room.
    ///
    /// # Errors
    /// As every read.
    pub async fn standing(&self, room: &RoomId) -> Result<Standing> {
        let call = Call::new("standing").key(self.keys.room(room).room);
        let Some(answer) = value::optional(self.link.call(&call).await?) else {
            return Ok(Standing::default());
        };
        let mut fields = Fields::of("standing", answer)?;
        let (seq, epoch) = (fields.number()?, fields.number()?);
        Ok(Standing { seq, epoch })
    }

    /// Brings a room into the current epoch, above what the archive has of it. Idempotent.
    ///
    /// # Errors
    /// `Fenced` if the epoch moved on, `NeedEpoch` if it has to.
    pub async fn reconcile(
        &self,
        room: &RoomId,
        epoch: u64,
        archived: (u64, u64),
        kind: Kind,
    ) -> Result<()> {
        let standing = self.standing(room).await?;
        let archived = Archived {
            seq: archived.0,
            messages: archived.1,
            ..Archived::default()
        };
        self.restore(room, epoch, standing, &archived, kind).await
    }

    /// Brings a room into the current epoch, with all that the archive has and Redis has lost of
    /// it. `standing` is what it was compared with. Idempotent.
    ///
    /// # Errors
    /// `Fenced` if the epoch or the room moved on, `NeedEpoch` if the epoch has to.
    pub async fn restore(
        &self,
        room: &RoomId,
        epoch: u64,
        standing: Standing,
        archived: &Archived,
        kind: Kind,
    ) -> Result<()> {
        let keys = self.keys.room(room);
        let made = archived.made.as_ref();
        let meta = made.map(|made| {
            let (name, topic) = (made.name.clone(), made.topic.clone());
            record::encode(&Meta(1, name, topic, made.creator.clone()))
        });
        let ack = made.and_then(|made| made.ack);
        let epochs = archived.epochs.iter();
        let epochs: Vec<String> = epochs
            .map(|(epoch, seq)| format!("{epoch}:{seq}"))
            .collect();
        let mut call = Call::new("reconcile")
            .key(self.keys.epoch(self.keys.of_room(room)))
            .key(keys.room)
            .key(keys.history)
            .key(keys.members)
            .key(keys.read)
            .number(epoch)
            .number(archived.seq)
            .number(archived.messages)
            .arg(kind_name(made.map_or(kind, |made| made.kind)))
            .number(standing.seq)
            .number(standing.epoch)
            .arg(epochs.join(","))
            .arg(meta.unwrap_or_default())
            .arg(ack.map_or(String::new(), |ack| ack_number(ack).to_string()))
            .number(archived.members.len() as u64);
        for (user, membership) in &archived.members {
            call = call
                .arg(user.as_str())
                .number(membership.map_or(0, |one| role_number(one.role)))
                .number(membership.map_or(0, |one| one.joined_seq));
        }
        self.link.call(&call).await.map(drop)
    }
}

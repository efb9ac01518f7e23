//! The clients of channels in which presence is kept: who came, and who went.

use chinwag_protocol::id::{ClientId, Incarnation, RoomId};
use chinwag_protocol::json::Json;
use serde::{Deserialize, Serialize};

use crate::channel::Signal;
use crate::connect::Call;
use crate::error::Result;
use crate::record;
use crate::store::Store;
use crate::value::Fields;

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

impl Store {
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
        let call = self.entering(room, gateway, occupant);
        self.link.call(&call).await?;
        if announce {
            self.signal(room, &Signal::Join(occupant.clone())).await?;
        }
        Ok(())
    }

    /// The same for many, in one round trip and without a word: for a gateway that says again whom
    /// it has.
    ///
    /// # Errors
    /// As every write. Some of them may be known then.
    pub async fn enter_channels(
        &self,
        gateway: &Incarnation,
        occupants: &[(RoomId, Occupant)],
    ) -> Result<()> {
        let entering = |(room, who): &(RoomId, Occupant)| self.entering(room, gateway, who);
        let calls: Vec<Call> = occupants.iter().map(entering).collect();
        self.link.calls("enter_channels", &calls).await.map(drop)
    }

    fn entering(&self, room: &RoomId, gateway: &Incarnation, occupant: &Occupant) -> Call {
        let stored = StoredOccupant(1, gateway.clone(), occupant.clone());
        Call::new("enter_channel")
            .key(self.keys.clients(room))
            .key(self.keys.held_rooms(self.keys.of_room(room), gateway))
            .arg(occupant.client.as_str())
            .arg(record::encode(&stored))
            .arg(room.as_str())
    }

    /// Takes out of the presence of a channel whom a gateway left there, and tells the others; but
    /// not who is there through another gateway, or through another life of it.
    ///
    /// # Errors
    /// As every write.
    pub async fn evict(
        &self,
        room: &RoomId,
        gateway: &Incarnation,
        occupants: &[Occupant],
    ) -> Result<()> {
        let evicting = |occupant: &Occupant| {
            Call::new("evict_client")
                .key(self.keys.clients(room))
                .key(self.keys.channel(room))
                .arg(occupant.client.as_str())
                .arg(gateway.as_str())
                .arg(Signal::Leave(occupant.clone()).encode())
        };
        let calls: Vec<Call> = occupants.iter().map(evicting).collect();
        self.link.calls("evict_client", &calls).await.map(drop)
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

//! A message: what is asked for it, and what becomes of it.

use bytes::Bytes;
use chinwag_protocol::request::StreamPosition;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::Error;

/// How safe a message is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase", from = "String")]
pub enum Level {
    /// Redis has it.
    #[default]
    Accepted,
    /// And so have its replicas.
    Replicated,
    /// It is in the archive, and cannot be lost any more.
    Archived,
}

impl Level {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Accepted => "accepted",
            Level::Replicated => "replicated",
            Level::Archived => "archived",
        }
    }
}

impl From<String> for Level {
    /// What is unheard of is worth the least.
    fn from(text: String) -> Self {
        let all = [Level::Archived, Level::Replicated];
        let known = all.into_iter().find(|level| level.as_str() == text);
        known.unwrap_or(Level::Accepted)
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub room: String,
    /// The sender's name for it: what makes sending twice harmless. At most 64 bytes.
    pub id: String,
    /// What it says (JSON).
    pub body: Bytes,
    /// How safe it shall be before it is acknowledged; the room's or the server's rule if absent.
    pub ack: Option<Level>,
}

/// The server's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// The sender's name for it.
    pub id: String,
    /// Its sequence in the room.
    pub seq: u64,
    /// The epoch of the sequence.
    pub epoch: String,
    /// Milliseconds since 1970, by Redis's clock.
    pub time: u64,
    /// How safe it is.
    pub durability: Level,
    /// Whether it had been taken before, and this is the first answer again.
    pub duplicate: bool,
}

impl Receipt {
    /// Where the message is.
    #[must_use]
    pub fn position(&self) -> StreamPosition {
        StreamPosition {
            offset: self.seq,
            epoch: self.epoch.clone(),
        }
    }
}

/// A message that the server has acknowledged. The client keeps it, and sends it again where that
/// is needed, until it is durable.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The acknowledgement.
    pub receipt: Receipt,
    pub(crate) fate: watch::Receiver<Fate>,
}

/// What became of a message after its acknowledgement; `None` as long as that is open.
pub(crate) type Fate = Option<Result<Durable, Error>>;

impl std::ops::Deref for Sent {
    type Target = Receipt;

    fn deref(&self) -> &Receipt {
        &self.receipt
    }
}

impl PartialEq for Sent {
    fn eq(&self, other: &Self) -> bool {
        self.receipt == other.receipt
    }
}

impl Eq for Sent {}

impl Sent {
    /// Waits until the message is durable, for as long as it takes. Its place may be another than
    /// the one acknowledged: a Redis that lost its tail is sent it again.
    ///
    /// # Errors
    /// `Ended` if the client ends before; `Reply` if the server would not take it a second time,
    /// and so may or may not have it.
    pub async fn durable(&self) -> Result<Durable, Error> {
        let mut fate = self.fate.clone();
        let settled = fate.wait_for(Option::is_some).await;
        let settled = settled.map_err(|_| Error::Ended)?;
        (*settled).clone().unwrap_or(Err(Error::Ended))
    }
}

/// A message that is as safe as it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Its room.
    pub room: String,
    /// The sender's name for it.
    pub id: String,
    /// Its sequence, for good.
    pub seq: u64,
    /// The epoch of the sequence.
    pub epoch: String,
    /// `Archived`; less only from a server that never says of any message that it is archived.
    pub level: Level,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_spelled_as_on_the_wire() {
        let all = [Level::Accepted, Level::Replicated, Level::Archived];
        assert!(all.is_sorted());
        for level in all {
            let text = serde_json::to_string(&level).unwrap();
            assert_eq!(text, format!("\"{}\"", level.as_str()));
            assert_eq!(serde_json::from_str::<Level>(&text).unwrap(), level);
        }
        let unheard_of: Level = serde_json::from_str("\"engraved\"").unwrap();
        assert_eq!(unheard_of, Level::Accepted);
    }
}

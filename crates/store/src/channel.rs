//! Pub/sub: what is said on channels, and a connection that listens.
//!
//! A room's channel carries records of events, in the order of their sequences, and signals, which
//! are not kept. Pub/sub is a hint: everything durable is found again in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chinwag_protocol::id::{Incarnation, RoomId, UserId};
use chinwag_protocol::position::Position;
use redis::aio::MultiplexedConnection;
use redis::{ProtocolVersion, PushInfo, PushKind, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::keys::{CONTROL, Keys, WAKE};
use crate::mark;
use crate::node;
use crate::partition::Partition;
use crate::placement::Placement;
use crate::presence::Occupant;
use crate::record;
use crate::route::Aim;
use crate::store::Store;

/// Something said in a room that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// A client came in.
    Join(Occupant),
    /// A client went.
    Leave(Occupant),
    /// JSON for whoever listens, such as presence and read marks.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl Signal {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Signals are maps of one entry (0x81), records arrays of nine (0x99).
        record::encode(self)
    }

    /// Reads a payload of a room's channel that is not a record.
    ///
    /// # Errors
    /// `Corrupt` if it is none of this version's.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        record::decode_value("signal", payload)
    }
}

/// What one gateway is told about its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// These users have a room now, by the event of this sequence: show it to them.
    Appear {
        /// The room.
        room: RoomId,
        /// The first sequence that is news to them.
        seq: u64,
        /// Who.
        users: Vec<UserId>,
    },
    /// These users have lost a room.
    Vanish {
        /// The room.
        room: RoomId,
        /// Who.
        users: Vec<UserId>,
    },
    /// Something happened in a room to which sessions of these users do not listen.
    Activity {
        /// The room.
        room: RoomId,
        /// The last sequence.
        seq: u64,
        /// Who.
        users: Vec<UserId>,
    },
}

/// An order to all gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Close the connections of a user that came with the token of this digest, or, without one,
    /// with any of our tokens but the one whose digest is `except`.
    Revoke {
        /// Whose.
        user: UserId,
        /// The token's digest.
        digest: Option<String>,
        /// The digest of a token that stays good.
        except: Option<String>,
    },
    /// Close a user's connections (one of them, if a client is named).
    Disconnect {
        /// Whose.
        user: UserId,
        /// Which connection.
        client: Option<String>,
        /// Close code.
        code: u16,
        /// Words with it.
        reason: String,
    },
    /// Subscribe a user's connections to a channel.
    Subscribe {
        /// Whose.
        user: UserId,
        /// To what.
        room: RoomId,
    },
    /// Unsubscribe a user's connections from a channel.
    Unsubscribe {
        /// Whose.
        user: UserId,
        /// From what.
        room: RoomId,
    },
}

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// A payload on a room's channel: a record, or a [`Signal`].
    Room(RoomId, Bytes),
    /// A notice for the gateway that listens.
    Notice(Notice),
    /// An order.
    Order(Order),
    /// A presence list has work.
    Wake(Partition),
    /// Rooms are archived up to these places: all events of the epoch, or of an earlier one that
    /// is still true, up to the sequence.
    Archived(Vec<(RoomId, Position)>),
}

/// A connection that listens. When it is lost, `heard` ends: make another one, subscribe again,
/// and look at every room, because what was said meanwhile is gone.
pub struct Listener {
    connection: MultiplexedConnection,
    keys: Arc<Keys>,
    /// What was heard, in order. Ends with the connection.
    pub heard: mpsc::Receiver<Heard>,
    overflow: Arc<AtomicBool>,
}

/// Subscribes and unsubscribes on a listener's connection, from another task.
#[derive(Clone)]
pub struct Ear {
    connection: MultiplexedConnection,
    keys: Arc<Keys>,
}

impl Store {
    /// Opens a connection that listens, with a queue of `queue` payloads. When the queue is full,
    /// what comes is dropped and [`Listener::overflowed`] says so once.
    ///
    /// # Errors
    /// `Unavailable` if Redis cannot be reached.
    pub async fn listen(&self, queue: usize) -> Result<Listener> {
        let (sender, heard) = mpsc::channel(queue);
        let overflow = Arc::new(AtomicBool::new(false));
        let (keys, flag) = (Arc::clone(&self.keys), Arc::clone(&overflow));
        // `None` when the connection ends: dropping the sender is what ends `heard`.
        let sender = std::sync::Mutex::new(Some(sender));
        let push = move |push: PushInfo| -> std::result::Result<(), ()> {
            let mut sender = sender.lock().map_err(drop)?;
            if push.kind == PushKind::Disconnection {
                *sender = None;
            }
            let Some(open) = sender.as_ref() else {
                return Ok(());
            };
            if let Some(heard) = heard_in(&keys, push)
                && open.try_send(heard).is_err()
            {
                // Waiting here would stall the connection until Redis cuts it.
                flag.store(true, Ordering::Release);
            }
            Ok(())
        };
        let placement = self.link.placement();
        let map = placement.known().await?;
        let aim = Aim::home();
        let address = map.owner(aim).ok_or_else(|| Placement::nobody(aim))?;
        let client = placement.topology.client(address, ProtocolVersion::RESP3)?;
        let config = self.config.connection().set_push_sender(push);
        let connection = node::open(&client, &config, placement.must_verify()).await?;
        Ok(Listener {
            connection,
            keys: Arc::clone(&self.keys),
            heard,
            overflow,
        })
    }

    /// Says something in a room that is not kept.
    ///
    /// # Errors
    /// As every write.
    pub async fn signal(&self, room: &RoomId, signal: &Signal) -> Result<()> {
        self.publish(self.keys.channel(room), signal.encode()).await
    }

    /// Says something in many rooms, in one round trip.
    ///
    /// # Errors
    /// As every write.
    pub async fn signals(&self, signals: &[(RoomId, Signal)]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for (room, signal) in signals {
            pipeline
                .cmd("PUBLISH")
                .arg(self.keys.channel(room))
                .arg(signal.encode());
        }
        self.link.pipeline("signals", &pipeline).await.map(drop)
    }

    /// Tells one gateway something about its users.
    ///
    /// # Errors
    /// As every write.
    pub async fn notify(&self, gateway: &Incarnation, notice: &Notice) -> Result<()> {
        self.publish(Keys::inbox(gateway), record::encode(notice))
            .await
    }

    /// Tells gateways several things, in order and in one round trip.
    ///
    /// # Errors
    /// As every write.
    pub async fn notify_all(&self, notices: &[(Incarnation, Notice)]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for (gateway, notice) in notices {
            pipeline
                .cmd("PUBLISH")
                .arg(Keys::inbox(gateway))
                .arg(record::encode(notice));
        }
        self.link.pipeline("notify", &pipeline).await.map(drop)
    }

    /// Gives an order to all gateways.
    ///
    /// # Errors
    /// As every write.
    pub async fn order(&self, order: &Order) -> Result<()> {
        self.publish(CONTROL.to_owned(), record::encode(order))
            .await
    }

    async fn publish(&self, channel: String, payload: Vec<u8>) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        self.link.query("publish", &command).await.map(drop)
    }
}

/// What a push means; `None` for confirmations and for what nobody here can read.
fn heard_in(keys: &Keys, push: PushInfo) -> Option<Heard> {
    if push.kind != PushKind::Message {
        return None;
    }
    let mut data = push.data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) =
        (data.next(), data.next())
    else {
        return None;
    };
    let channel = String::from_utf8(channel).ok()?;
    if let Some(room) = Keys::room_of_channel(&channel) {
        return Some(Heard::Room(room, payload.into()));
    }
    let read = match channel.as_str() {
        name if Keys::is_archived_channel(name) => {
            mark::decode_archived(&payload).map(Heard::Archived)
        }
        CONTROL => record::decode_value("order", &payload).map(Heard::Order),
        WAKE => {
            let key = String::from_utf8(payload).ok()?;
            return keys.partition_of_presence(&key).map(Heard::Wake);
        }
        _ => record::decode_value("notice", &payload).map(Heard::Notice),
    };
    read.inspect_err(|error| tracing::warn!(%channel, %error, "cannot read what was published"))
        .ok()
}

impl Listener {
    /// Whether something was dropped since the last call because the queue was full.
    pub fn overflowed(&self) -> bool {
        self.overflow.swap(false, Ordering::AcqRel)
    }

    /// A handle for subscribing while another task reads `heard`.
    #[must_use]
    pub fn ear(&self) -> Ear {
        Ear {
            connection: self.connection.clone(),
            keys: Arc::clone(&self.keys),
        }
    }
}

impl Ear {
    /// Listens to a room. When this returns, everything that is published from now on is heard.
    ///
    /// # Errors
    /// As every read.
    pub async fn join(&mut self, rooms: &[RoomId]) -> Result<()> {
        let channels: Vec<String> = rooms.iter().map(|room| self.keys.channel(room)).collect();
        self.subscribe(channels).await
    }

    /// Stops listening to a room.
    ///
    /// # Errors
    /// As every read.
    pub async fn leave(&mut self, rooms: &[RoomId]) -> Result<()> {
        let channels: Vec<String> = rooms.iter().map(|room| self.keys.channel(room)).collect();
        if channels.is_empty() {
            return Ok(());
        }
        let answer = self.connection.unsubscribe(channels).await;
        answer.map_err(|error| Error::of("unsubscribe", &error))
    }

    /// Listens to what concerns a gateway: its inbox, the orders to all, and what is archived.
    ///
    /// # Errors
    /// As every read.
    pub async fn join_as_gateway(&mut self, gateway: &Incarnation) -> Result<()> {
        self.subscribe(vec![Keys::inbox(gateway), CONTROL.to_owned()])
            .await?;
        let partitions = (0..self.keys.partitions()).map(Partition);
        let archived = partitions.map(|partition| self.keys.archived(partition));
        self.subscribe(archived.collect()).await
    }

    /// Listens to what wakes presence workers.
    ///
    /// # Errors
    /// As every read.
    pub async fn join_as_presence_worker(&mut self) -> Result<()> {
        self.subscribe(vec![WAKE.to_owned()]).await
    }

    /// Asks for a sign of life on the listening connection itself.
    ///
    /// # Errors
    /// `Unavailable` if none comes in time.
    pub async fn ping(&mut self) -> Result<()> {
        let answer = self
            .connection
            .send_packed_command(&redis::cmd("PING"))
            .await;
        answer.map(drop).map_err(|error| Error::of("ping", &error))
    }

    async fn subscribe(&mut self, channels: Vec<String>) -> Result<()> {
        if channels.is_empty() {
            return Ok(());
        }
        let answer = self.connection.subscribe(channels).await;
        answer.map_err(|error| Error::of("subscribe", &error))
    }
}

//! What a room's ring has: the recent events, and what a reader has missed.

use bytes::Bytes;
use chinwag_protocol::event::{Event, Kind};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::record;
use crate::room::kind_named;
use crate::store::Store;
use crate::value::Fields;

/// Where a room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// The last event's position, in the current epoch.
    pub position: Position,
    /// The room's count of messages.
    pub messages: u64,
    /// Its kind.
    pub kind: Kind,
}

/// What a reader at a position has missed.
#[derive(Debug, Clone)]
pub enum Resumed {
    /// The position holds. Between it and the first of these events there may be a hole, which
    /// the archive fills: `first` is the sequence of the first event given, or that of the next
    /// event to come if there is none.
    Continues {
        /// Where the room stands.
        top: Top,
        /// The sequence of the first event given.
        first: u64,
        /// Events from `first` on, without a hole, up to the limit.
        events: Vec<Event>,
    },
    /// Redis has lost what the reader has seen last: the position holds up to `valid` only.
    Rewind {
        /// Where the room stands.
        top: Top,
        /// The last sequence of the reader's that is still true.
        valid: u64,
    },
    /// There is no such room.
    Missing {
        /// The epoch that is current.
        epoch: u64,
    },
}

impl Store {
    /// What a reader at `position` (epoch 0: any) has missed, at most `limit` events of it.
    ///
    /// # Errors
    /// `NeedEpoch` and `NeedReconcile` as every write: only a fenced answer can be trusted.
    pub async fn resume(&self, room: &RoomId, position: Position, limit: usize) -> Result<Resumed> {
        let keys = self.keys.room(room);
        let call = Call::new("resume")
            .key(self.keys.epoch(self.keys.of_room(room)))
            .key(keys.room)
            .key(keys.history)
            .number(position.epoch)
            .number(position.seq)
            .number(limit as u64);
        let answer = self.link.call(&call).await?;
        let mut fields = Fields::of("resume", answer)?;
        let status = fields.number()?;
        let (epoch, seq, messages) = (fields.number()?, fields.number()?, fields.number()?);
        let (kind, first) = (fields.text()?, fields.number()?);
        match status {
            1 => {
                let top = Top {
                    position: Position::new(epoch, seq),
                    messages,
                    kind: kind_named(&kind)?,
                };
                let records: Vec<Bytes> = fields.rest()?;
                let events = records.iter().map(|record| record::decode(record));
                Ok(Resumed::Continues {
                    top,
                    first,
                    events: events.collect::<Result<_>>()?,
                })
            }
            2 => {
                // How far it holds was given in place of the room's seq.
                let top = self.top_now(room).await?;
                Ok(Resumed::Rewind { top, valid: seq })
            }
            3 => Err(Error::NeedReconcile {
                room: room.clone(),
                epoch,
            }),
            4 => Ok(Resumed::Missing { epoch }),
            other => Err(Error::corrupt("resume", format!("status {other}"))),
        }
    }

    /// Where a room stands, as a reader with no position.
    async fn top_now(&self, room: &RoomId) -> Result<Top> {
        match Box::pin(self.resume(room, Position::default(), 0)).await? {
            Resumed::Continues { top, .. } | Resumed::Rewind { top, .. } => Ok(top),
            Resumed::Missing { epoch } => Ok(Top {
                position: Position::new(epoch, 0),
                messages: 0,
                kind: Kind::Channel,
            }),
        }
    }

    /// Where rooms stand by their hashes alone, unfenced: `(epoch, seq)` or `None`. For sweeps
    /// that look for lost pub/sub.
    ///
    /// # Errors
    /// As every read.
    pub async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Option<Position>>> {
        let stand = self.stand(rooms).await?;
        Ok(stand.into_iter().map(|one| Some(one?.0)).collect())
    }

    /// The same, with the sequence up to which each room is archived.
    ///
    /// # Errors
    /// As every read.
    pub async fn stand(&self, rooms: &[RoomId]) -> Result<Vec<Option<(Position, u64)>>> {
        let mut pipeline = redis::pipe();
        for room in rooms {
            pipeline
                .cmd("HMGET")
                .arg(self.keys.room(room).room)
                .arg("e")
                .arg("s")
                .arg("a");
        }
        let answers = self.link.pipeline("positions", &pipeline).await?;
        answers
            .into_iter()
            .map(|answer| {
                let mut fields = Fields::of("positions", answer)?;
                let (epoch, seq, archived) = (fields.value()?, fields.value()?, fields.value()?);
                if matches!(seq, redis::Value::Nil) {
                    return Ok(None);
                }
                let number = |value| crate::value::number("position", value);
                let archived = match archived {
                    redis::Value::Nil => 0,
                    ref archived => number(archived)?,
                };
                let position = Position::new(number(&epoch)?, number(&seq)?);
                Ok(Some((position, archived)))
            })
            .collect()
    }

    /// The events of a room's ring from `from` to `to` (both included), as far as it has them.
    ///
    /// # Errors
    /// As every read.
    pub async fn ring(&self, room: &RoomId, from: u64, to: u64) -> Result<Vec<Event>> {
        if to < from {
            return Ok(Vec::new());
        }
        // The ring's end is the room's seq, but that may move between two commands: read from the
        // position, which `resume` does in one step.
        let limit = usize::try_from(to - from + 1).unwrap_or(usize::MAX);
        let position = Position::new(0, from.saturating_sub(1));
        match self.resume(room, position, limit).await? {
            Resumed::Continues { events, .. } => {
                Ok(events.into_iter().filter(|event| event.seq <= to).collect())
            }
            Resumed::Rewind { .. } | Resumed::Missing { .. } => Ok(Vec::new()),
        }
    }
}

//! What a reader at a position has missed: from the ring, and from the archive below it.

use chinwag_archive::Range;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_store::history::{Resumed, Top};

use crate::backend::{Backend, archive_refusal};

/// Most events that a subscription brings with it. A reader who has missed more pages.
pub(crate) const RECOVER_EVENTS: usize = 500;

/// What a reader at a position has missed.
#[derive(Debug)]
pub(crate) enum Missed {
    /// The first events after the position, without a hole, up to the limit asked for.
    Events(Top, Vec<Event>),
    /// The position is ahead of what survived, or not of this room's life.
    Rewind(Top),
}

impl Backend {
    /// Where a room stands. A room that Redis does not know but the archive does comes back.
    pub(crate) async fn top(&self, room: &RoomId) -> Result<Top, Refusal> {
        match self.missed(room, Position::default(), 0, false).await? {
            Missed::Events(top, _) | Missed::Rewind(top) => Ok(top),
        }
    }

    /// The first `limit` events after `position` (epoch 0: any). With `archived`, what the ring no
    /// longer has comes from the archive; else a hole there is a refusal.
    pub(crate) async fn missed(
        &self,
        room: &RoomId,
        position: Position,
        limit: usize,
        archived: bool,
    ) -> Result<Missed, Refusal> {
        self.missed_from(room, position, position.seq, limit, archived)
            .await
    }

    /// The same with events from before `needed` as far as the ring has them; what comes after it
    /// is without a hole.
    pub(crate) async fn missed_from(
        &self,
        room: &RoomId,
        position: Position,
        needed: u64,
        limit: usize,
        archived: bool,
    ) -> Result<Missed, Refusal> {
        let partition = self.store.keys().of_room(room);
        let resume = || self.store.resume(room, position, limit);
        let mut resumed = self.fenced(partition, resume).await?;
        if let Resumed::Missing { epoch } = resumed {
            match self.revive(room, epoch).await? {
                Some(top) => return Ok(beyond(position, top)),
                None => resumed = self.fenced(partition, resume).await?,
            }
        }
        match resumed {
            Resumed::Continues { top, first, events } => {
                let from = needed + 1;
                if limit == 0 || first <= from {
                    return Ok(Missed::Events(top, events));
                }
                if !archived {
                    let message = "the history no longer reaches back to this position";
                    return Err(Refusal::new(Code::UnrecoverablePosition, message));
                }
                self.bridged(room, top, from..first, events, limit).await
            }
            Resumed::Rewind { top, .. } => Ok(Missed::Rewind(top)),
            Resumed::Missing { .. } => Err(Refusal::no_such_room()),
        }
    }

    /// A room that Redis does not know: `None` if the archive does and it was brought back, else
    /// the place where its first event will come.
    async fn revive(&self, room: &RoomId, epoch: u64) -> Result<Option<Top>, Refusal> {
        let high = self
            .archive
            .high(room)
            .await
            .map_err(|error| archive_refusal(&error))?;
        // A personal channel is listened to with each connection of its owner: it is written down
        // the first time, so that connecting needs no archive ever after.
        if high.is_none() && room.personal_owner().is_none() {
            let position = Position::new(epoch, 0);
            let kind = self.config.namespaces.kind(room);
            return Ok(Some(Top {
                position,
                messages: 0,
                kind,
            }));
        }
        self.reconcile(room, epoch).await?;
        Ok(None)
    }

    /// Puts what the archive has of `hole` before the ring's events.
    async fn bridged(
        &self,
        room: &RoomId,
        top: Top,
        hole: std::ops::Range<u64>,
        ring: Vec<Event>,
        limit: usize,
    ) -> Result<Missed, Refusal> {
        let range = Range {
            from_seq: hole.start,
            to_seq: hole.end - 1,
            limit,
            ascending: true,
        };
        let page = self.archive.page(room, range).await;
        let mut events = page.map_err(|error| archive_refusal(&error))?;
        events.extend(ring);
        events.truncate(limit);
        let dense = events
            .iter()
            .zip(hole.start..)
            .all(|(event, seq)| event.seq == seq);
        if dense {
            return Ok(Missed::Events(top, events));
        }
        tracing::error!(%room, from = hole.start, to = hole.end, "ring and archive do not meet");
        metrics::counter!("chinwag_gateway_gaps_total").increment(1);
        let message = "the history before this position is not available";
        Err(Refusal::new(Code::UnrecoverablePosition, message))
    }
}

/// A room that has never had an event is missed nothing of, unless the reader has seen some, or
/// was in an epoch that is none.
fn beyond(position: Position, top: Top) -> Missed {
    if position.seq > 0 || position.epoch > top.position.epoch {
        Missed::Rewind(top)
    } else {
        Missed::Events(top, Vec::new())
    }
}

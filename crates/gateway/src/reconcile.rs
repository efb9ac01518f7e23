//! What Redis has lost of a room, and the archive has: the place where it goes on, and the messages
//! that senders may send again because they heard no answer.

use std::time::Duration;

use chinwag_archive::{PAGE_MOST, RecentId};
use chinwag_protocol::code::Refusal;
use chinwag_protocol::id::RoomId;
use chinwag_store::Error;
use chinwag_store::append::{Receipt, Remembered};

use crate::backend::{Backend, archive_refusal, refusal};

/// How long a message may be sent again, as far as a Redis that lost its tail is concerned. Its
/// tail is a second or two; the rest is for whoever was away meanwhile.
const SENT_AGAIN: Duration = Duration::from_secs(24 * 3600);

impl Backend {
    /// Brings a room into the current epoch, above what the archive has of it.
    pub(crate) async fn reconcile(&self, room: &RoomId, epoch: u64) -> Result<bool, Refusal> {
        let archived = self.archived(room).await?;
        let kind = self.config.namespaces.kind(room);
        match self.store.reconcile(room, epoch, archived, kind).await {
            Ok(()) | Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => Ok(true),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// The last sequence and the count of messages that the archive has of a room, whose messages
    /// Redis knows again when this returns.
    pub(crate) async fn archived(&self, room: &RoomId) -> Result<(u64, u64), Refusal> {
        let high = self.archive.high(room).await;
        let Some(high) = high.map_err(|error| archive_refusal(&error))? else {
            return Ok((0, 0));
        };
        let since = self.store.now().saturating_sub(milliseconds(SENT_AGAIN));
        let known = self.store.positions(std::slice::from_ref(room)).await;
        let known = known.map_err(|error| refusal(&error))?.pop().flatten();
        let known = known.map_or(0, |position| position.seq);
        if known < high.seq && high.time > since {
            let most = u64::try_from(PAGE_MOST).unwrap_or(u64::MAX);
            let after = known.max(high.seq.saturating_sub(most));
            self.remember(room, after, since).await?;
        }
        Ok((high.seq, high.messages))
    }

    async fn remember(&self, room: &RoomId, after: u64, since: u64) -> Result<(), Refusal> {
        let ids = self.archive.recent_ids(room, after, PAGE_MOST).await;
        let ids = ids.map_err(|error| archive_refusal(&error))?;
        let ids: Vec<Remembered> = ids
            .into_iter()
            .filter(|id| id.time > since)
            .map(remembered)
            .collect();
        let remembered = self.store.remember(room, &ids).await;
        remembered.map_err(|error| refusal(&error))
    }
}

fn remembered(id: RecentId) -> Remembered {
    let receipt = Receipt {
        position: id.position,
        time: id.time,
        messages: 0,
    };
    Remembered {
        sender: id.sender,
        id: id.id,
        receipt,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

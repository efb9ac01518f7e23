//! Read cursors: state, not events. Unread counts are computed from them, never counted up.

use chinwag_protocol::id::{RoomId, UserId};

use crate::connect::Call;
use crate::error::Result;
use crate::store::Store;
use crate::value::{self, Fields};

/// A member's cursor, and what computes the unread count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The sequence up to which the member has read.
    pub seq: u64,
    /// The room's count of messages.
    pub messages: u64,
    /// The count at `seq`; `None` if only the archive knows it.
    pub messages_read: Option<u64>,
}

impl Store {
    /// Moves a member's cursor forward to `seq`, or to the room's last event if that is less.
    /// `None` if the user is no member.
    ///
    /// # Errors
    /// As every write.
    pub async fn mark_read(
        &self,
        room: &RoomId,
        user: &UserId,
        seq: u64,
    ) -> Result<Option<Cursor>> {
        let keys = self.keys.room(room);
        let call = Call::new("mark_read")
            .key(keys.room)
            .key(keys.history)
            .key(keys.members)
            .key(keys.read)
            .arg(user.as_str())
            .number(seq);
        let answer = self.link.call(&call).await?;
        let Some(answer) = value::optional(answer) else {
            return Ok(None);
        };
        let mut fields = Fields::of("mark_read", answer)?;
        Ok(Some(Cursor {
            seq: fields.number()?,
            messages: fields.number()?,
            messages_read: fields.known()?,
        }))
    }
}

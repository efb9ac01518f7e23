//! Where a list of rooms goes on: by time, and by name among rooms of one millisecond, so that
//! none is skipped and none comes twice.

use chinwag_protocol::code::Refusal;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::limit::Violation;

/// The last room of a page. Its text is for clients to give back, not to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// When it was last active, in milliseconds since 1970.
    pub time: u64,
    room: RoomId,
}

impl Cursor {
    /// The text for the place of a listed room.
    pub fn of((room, time): &(RoomId, u64)) -> String {
        format!("{time}:{room}")
    }

    /// Reads a text that a client gives back.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once(':').and_then(|(time, room)| {
            let (time, room) = (time.parse().ok()?, RoomId::new(room).ok()?);
            Some(Self { time, room })
        });
        let violation = || Violation::new("before", "must be the `next` of the page before");
        Ok(parsed.ok_or_else(violation)?)
    }

    /// Whether a listed room comes after this place. Lists run from the latest to the earliest
    /// and, within a millisecond, from the greatest name to the least.
    pub fn is_before(&self, (room, time): &(RoomId, u64)) -> bool {
        (time, room) < (&self.time, &self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = (RoomId::new("dm:ann:bob").unwrap(), 17);
        let cursor = Cursor::parse(&Cursor::of(&place)).unwrap();
        assert!(!cursor.is_before(&place));
        assert!(cursor.is_before(&(RoomId::new("dm:ann:alf").unwrap(), 17)));
        assert!(cursor.is_before(&(RoomId::new("room:z").unwrap(), 16)));
        assert!(!cursor.is_before(&(RoomId::new("room:z").unwrap(), 17)));
    }

    #[test]
    fn what_no_page_gave_is_refused() {
        for bad in ["", "17", ":room", "x:room", "17:", "17:a{b}", "-1:room"] {
            let refusal = Cursor::parse(bad).unwrap_err();
            assert_eq!(
                refusal.message,
                "before: must be the `next` of the page before"
            );
        }
    }
}

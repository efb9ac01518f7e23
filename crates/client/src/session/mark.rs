//! What the server says of a room beside its events: how far the archive has it.

use chinwag_protocol::push::Publication;
use chinwag_protocol::request::StreamPosition;
use serde::Deserialize;

use crate::session::Session;

/// Longer data is no mark.
const MARK_BYTES: usize = 512;

#[derive(Deserialize)]
struct Mark {
    r#type: String,
    seq: u64,
    epoch: String,
}

/// The mark that a publication is, if it is one. What a client published says who did, and is
/// none.
fn mark(publication: &Publication) -> Option<StreamPosition> {
    let unsigned = publication.offset == 0 && publication.info.is_none();
    if !unsigned || publication.data.len() > MARK_BYTES {
        return None;
    }
    let mark: Mark = serde_json::from_slice(&publication.data).ok()?;
    (mark.r#type == "archived" && !mark.epoch.is_empty()).then_some(StreamPosition {
        offset: mark.seq,
        epoch: mark.epoch,
    })
}

impl Session {
    /// Takes a publication that is a mark. `false` if it is none.
    pub(super) fn marked(&mut self, name: &str, publication: &Publication) -> bool {
        if !self.wants_marks {
            return false;
        }
        let Some(mark) = mark(publication) else {
            return false;
        };
        if let Some(room) = self.rooms.get_mut(name) {
            room.place.archived(&mark);
        }
        self.outbox.marked(name, &mark, self.now);
        self.send_letters();
        true
    }
}

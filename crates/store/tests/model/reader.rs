//! People who read: what each has been told must at any moment be what the room's events are, or
//! they are told that it is not.

use chinwag_archive::Range;
use chinwag_protocol::position::Position;
use chinwag_store::Error;
use chinwag_store::history::Resumed;

use crate::expected::{Expected, Label};
use crate::step::ROOMS;
use crate::system::{System, label, room};

/// A reader of all rooms.
#[derive(Default)]
pub struct Reader {
    /// Per room: the epoch of the position, and all events up to it.
    at: [(u64, Vec<Label>); ROOMS],
}

impl Reader {
    pub async fn read(&mut self, system: &System, expected: &Expected, at: usize, most: usize) {
        let (epoch, had) = &mut self.at[at];
        let position = Position::new(*epoch, had.len() as u64);
        let answer = system.store.resume(&room(at), position, most).await;
        let open = expected.open(at).map(|room| &room.events);
        match answer {
            Ok(Resumed::Continues { top, first, events }) => {
                let line = open.expect("an answer from a room that is not open");
                assert_eq!(top.position.seq, line.len() as u64, "where the room stands");
                assert_eq!(Some(top.position.epoch), expected.current());
                if had.len() as u64 + 1 < first {
                    let lacking = had.len()..usize::try_from(first).unwrap() - 1;
                    had.extend(archived(system, at, lacking).await);
                }
                let firsts = events.first().map_or(first, |event| event.seq);
                assert_eq!(
                    firsts,
                    had.len() as u64 + 1,
                    "a hole that nobody is told of"
                );
                had.extend(events.iter().map(label));
                *epoch = top.position.epoch;
                assert_eq!(*had, line[..had.len()], "room {at}: not what is true");
            }
            Ok(Resumed::Rewind { valid, .. }) => {
                let line = open.expect("an answer from a room that is not open");
                let is_true = line.starts_with(had);
                assert!(
                    !(is_true && Some(*epoch) == expected.current()),
                    "a true position of this epoch is refused"
                );
                had.truncate(usize::try_from(valid).unwrap());
                assert!(
                    line.starts_with(had),
                    "room {at}: less than {valid} is true"
                );
                *epoch = expected.current().unwrap();
            }
            Ok(Resumed::Missing { .. }) => assert!(expected.redis.rooms[at].is_none()),
            Err(Error::NeedEpoch { .. }) => assert_eq!(expected.current(), None),
            Err(Error::NeedReconcile { .. }) => assert!(open.is_none()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the archive has after the first so many events, up to the last of the range.
async fn archived(system: &System, at: usize, range: std::ops::Range<usize>) -> Vec<Label> {
    let all = rows(system, at).await;
    assert!(range.end <= all.len(), "a hole between archive and ring");
    all[range].to_vec()
}

/// All rows that the archive has of a room.
pub async fn rows(system: &System, at: usize) -> Vec<Label> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let range = Range::from(after + 1, 200);
        let page = system.archive.page(&room(at), range).await.unwrap();
        let Some(last) = page.last() else { return all };
        for event in &page {
            assert_eq!(
                event.seq,
                all.len() as u64 + 1,
                "room {at}: a hole in the archive"
            );
            all.push(label(event));
        }
        after = last.seq;
    }
}

/// A position that nobody was given: nothing comes of it that is not true.
pub async fn forge(system: &System, expected: &Expected, at: usize, epoch: u8, seq: u8) {
    let Some(room_now) = expected.open(at) else {
        return;
    };
    let (current, top) = (room_now.epoch, room_now.events.len() as u64);
    let epoch = [0, current, current + 1, current + 1000, u64::MAX][usize::from(epoch)];
    let seq = [0, top, top + 1, u64::MAX][usize::from(seq)];
    let position = Position::new(epoch, seq);
    let answer = system.store.resume(&room(at), position, 10).await.unwrap();
    match answer {
        Resumed::Continues { .. } => {
            assert!(epoch <= current && seq <= top, "{position:?} was believed");
        }
        Resumed::Rewind { valid, .. } => {
            assert!(epoch > current || seq > top, "{position:?} was refused");
            assert!(valid <= top);
        }
        Resumed::Missing { .. } => panic!("{room_now:?} is missing"),
    }
}

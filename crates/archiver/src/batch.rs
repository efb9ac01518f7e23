//! From entries to rows: pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chinwag_archive::Row;
use chinwag_protocol::event::{Content, Event};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::json::Json;
use chinwag_protocol::position::Position;
use chinwag_store::log::{Entry, LogId};
use chinwag_store::record;
use serde::Serialize;

/// The rows of the entries after `done`, in their order.
pub(crate) fn rows(entries: &[Entry], done: LogId) -> Vec<Row> {
    let new = entries.iter().filter(|entry| entry.id > done);
    new.filter_map(row).collect()
}

/// The last place of each room in each epoch among entries. What was archived before counts too:
/// nobody may have told the room.
pub(crate) fn tops(entries: &[Entry]) -> Vec<(RoomId, Position)> {
    let mut tops: BTreeMap<(&RoomId, u64), u64> = BTreeMap::new();
    for entry in entries {
        if let (Some(room), Some(head)) = (&entry.room, record::head(&entry.record)) {
            let top = tops.entry((room, head.epoch)).or_default();
            *top = head.seq.max(*top);
        }
    }
    tops.into_iter()
        .map(|((room, epoch), seq)| (room.clone(), Position::new(epoch, seq)))
        .collect()
}

fn row(entry: &Entry) -> Option<Row> {
    let event = match &entry.event {
        Ok(event) => event.clone(),
        Err(_) => tombstone(entry)?,
    };
    let room = entry.room.clone()?;
    Some(Row { room, event })
}

#[derive(Serialize)]
struct Data {
    unreadable: Unreadable,
}

#[derive(Serialize)]
struct Unreadable {
    log_id: String,
    record: String,
}

/// What stands in the place of an event that cannot be read, with all there is of it.
fn tombstone(entry: &Entry) -> Option<Event> {
    let head = record::head(&entry.record)?;
    let unreadable = Unreadable {
        log_id: entry.id.to_string(),
        record: STANDARD.encode(&entry.record),
    };
    Some(Event {
        seq: head.seq,
        epoch: head.epoch,
        time: head.time,
        messages: head.messages,
        sender: None,
        client: None,
        id: None,
        content: Content::Publication {
            data: Json::of(&Data { unreadable }),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chinwag_protocol::id::UserId;
    use proptest::prelude::*;

    /// A record as Redis writes it: head, then tail.
    fn record(seq: u64, tail: &[u8]) -> Vec<u8> {
        let mut record = vec![0x99, record::VERSION];
        for number in [seq, 1, 1_732_000_000_000, seq] {
            record.push(0xcf);
            record.extend_from_slice(&number.to_be_bytes());
        }
        record.extend_from_slice(tail);
        record
    }

    fn entry(number: u64, room: &str, seq: u64, readable: bool) -> Entry {
        let content = Content::Message {
            body: Json::of("hi"),
        };
        let ann = UserId::new("ann").unwrap();
        let tail = record::tail(Some(&ann), None, None, &content);
        let tail: &[u8] = if readable { &tail } else { b"?" };
        let record = record(seq, tail);
        Entry {
            id: LogId { epoch: 1, number },
            room: Some(RoomId::new(room).unwrap()),
            event: record::decode(&record),
            record: record.into(),
        }
    }

    /// The log of a partition: entries of three rooms, each room dense, some of them unreadable.
    fn log() -> impl Strategy<Value = Vec<Entry>> {
        proptest::collection::vec((0..3usize, prop::bool::weighted(0.9)), 0..60).prop_map(
            |choices| {
                let mut seqs = [0u64; 3];
                let names = ["a", "b", "c"];
                let numbered = (0u64..).zip(choices);
                numbered
                    .map(|(number, (room, readable))| {
                        seqs[room] += 1;
                        entry(number, names[room], seqs[room], readable)
                    })
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn rooms_stay_dense_whatever_cannot_be_read(log in log()) {
            let mut tops: BTreeMap<String, u64> = BTreeMap::new();
            for row in rows(&log, LogId::default()) {
                let top = tops.entry(row.room.to_string()).or_default();
                prop_assert_eq!(row.event.seq, *top + 1);
                *top += 1;
            }
            let told = super::tops(&log).into_iter();
            let told: BTreeMap<String, u64> =
                told.map(|(room, top)| (room.to_string(), top.seq)).collect();
            prop_assert_eq!(told, tops);
        }

        #[test]
        fn a_log_in_pieces_gives_the_same_rows(log in log(), cut in 0..60usize) {
            let (first, _) = log.split_at(cut.min(log.len()));
            let done = first.last().map_or(LogId::default(), |entry| entry.id);
            let mut pieces = rows(first, LogId::default());
            // The second time some of the first come again.
            let again = first.len().saturating_sub(2);
            pieces.extend(rows(&log[again..], done));
            prop_assert_eq!(pieces, rows(&log, LogId::default()));
        }
    }

    #[test]
    fn what_cannot_be_read_keeps_its_place_and_all_its_bytes() {
        let bad = entry(7, "a", 3, false);
        let rows = rows(std::slice::from_ref(&bad), LogId::default());
        assert_eq!(
            (rows[0].event.seq, rows[0].event.sender.as_ref()),
            (3, None)
        );
        let Content::Publication { data } = &rows[0].event.content else {
            panic!("{rows:?}")
        };
        let encoded = STANDARD.encode(&bad.record);
        let expected = format!(r#"{{"unreadable":{{"log_id":"1-7","record":"{encoded}"}}}}"#);
        assert_eq!(data.as_str(), expected);
    }

    #[test]
    fn what_has_no_sequence_is_skipped() {
        let mut rubbish = entry(7, "a", 3, false);
        rubbish.record = "rubbish".into();
        let mut foreign = entry(8, "a", 4, true);
        foreign.room = None;
        let entries = [rubbish, foreign];
        assert_eq!(rows(&entries, LogId::default()), []);
        assert_eq!(tops(&entries), []);
    }
}

use chinwag_protocol::event::{Content, Event, Kind};
use chinwag_protocol::json::Json;
use proptest::prelude::*;

use super::*;

fn room(number: usize) -> RoomId {
    RoomId::new(format!("room-{number}")).unwrap()
}

fn delivery(number: usize, seq: u64) -> Arc<Delivery> {
    let event = Event {
        seq,
        epoch: 1,
        time: 0,
        messages: 0,
        sender: None,
        client: None,
        id: None,
        content: Content::Publication {
            data: Json::of(&seq),
        },
    };
    let heard = std::time::Instant::now();
    Arc::new(Delivery::event(room(number), Kind::Channel, &event, heard))
}

fn seqs(events: &[Arc<Delivery>]) -> Vec<u64> {
    let seq = |one: &Arc<Delivery>| one.position.unwrap().seq;
    events.iter().map(seq).collect()
}

#[test]
fn a_window_answers_what_it_has_whole_and_nothing_else() {
    let recent = Recent::new(1_000_000);
    (11..=20).for_each(|seq| recent.heard(&delivery(0, seq)));
    let after = |epoch, seq, known| {
        let known = Position::new(1, known);
        let answer = recent.after(&room(0), Position::new(epoch, seq), 100, known, None);
        answer.map(|(top, events)| (top.seq, seqs(&events)))
    };
    assert_eq!(after(1, 17, 20), Some((20, vec![18, 19, 20])));
    assert_eq!(after(0, 10, 5).unwrap().1.len(), 10);
    assert_eq!(after(1, 20, 20), Some((20, vec![])));
    assert_eq!(after(1, 9, 20), None, "its first is missing");
    assert_eq!(after(1, 21, 20), None, "ahead of what was heard");
    assert_eq!(after(2, 17, 20), None, "another epoch");
    assert_eq!(after(1, 17, 21), None, "more is known than it has");
    assert!(
        recent
            .after(&room(1), Position::new(1, 0), 1, Position::new(1, 0), None)
            .is_none()
    );
}

#[test]
fn what_was_read_and_what_was_heard_make_one_window() {
    let recent = Recent::new(1_000_000);
    recent.heard(&delivery(0, 6));
    recent.heard(&delivery(0, 7));
    let read: Vec<_> = (1..=6).map(|seq| delivery(0, seq)).collect();
    recent.learn(&room(0), &read, Position::new(1, 6));
    let after = recent.after(
        &room(0),
        Position::new(1, 0),
        100,
        Position::new(1, 7),
        None,
    );
    assert_eq!(seqs(&after.unwrap().1), [1, 2, 3, 4, 5, 6, 7]);
    // A hole was heard over.
    recent.heard(&delivery(0, 9));
    let after = |seq| {
        recent.after(
            &room(0),
            Position::new(1, seq),
            100,
            Position::new(1, 9),
            None,
        )
    };
    assert!(after(7).is_none());
    assert_eq!(seqs(&after(8).unwrap().1), [9]);
}

proptest! {
    #[test]
    fn it_is_bounded_and_what_it_gives_is_dense(
        steps in proptest::collection::vec((0u8..8, 0usize..6, 0u64..90), 0..400),
        most in 1_000usize..200_000,
    ) {
        let recent = Recent::new(most);
        let mut tops = [0u64; 6];
        for (step, number, seq) in steps {
            let top = tops[number];
            match step {
                0..5 => {
                    tops[number] += 1;
                    recent.heard(&delivery(number, top + 1));
                }
                5 => {
                    let read: Vec<_> = (seq.min(top) + 1..=top).map(|seq| delivery(number, seq)).collect();
                    recent.learn(&room(number), &read, Position::new(1, top));
                }
                6 => recent.forget(&room(number)),
                _ => {
                    let since = Position::new(1, seq);
                    let known = Position::new(1, top);
                    if let Some((end, events)) = recent.after(&room(number), since, 100, known, None) {
                        let all: Vec<u64> = (seq + 1..=top).collect();
                        prop_assert_eq!((end.seq, seqs(&events)), (top, all));
                    }
                }
            }
            let windows = recent.lock();
            let bytes: usize = windows.rooms.values().map(|window| window.bytes).sum();
            prop_assert_eq!(bytes, windows.bytes);
            prop_assert!(bytes <= most);
            prop_assert!(windows.turns.len() <= 2 * windows.rooms.len() + EVENTS + 1);
        }
    }
}

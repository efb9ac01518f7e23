use chinwag_protocol::event::Content;
use chinwag_protocol::json::Json;
use proptest::prelude::*;

use super::*;

fn event(seq: u64) -> Event {
    Event {
        seq,
        epoch: 1,
        time: 1_732_000_000_000 + seq,
        messages: seq,
        sender: None,
        client: None,
        id: None,
        content: Content::Message {
            body: Json::of(&seq),
        },
    }
}

fn events(seqs: impl IntoIterator<Item = u64>) -> Vec<Event> {
    seqs.into_iter().map(event).collect()
}

fn seqs(merged: &Merged) -> Vec<u64> {
    merged.events.iter().map(|event| event.seq).collect()
}

#[test]
fn pages_end_where_the_room_ends() {
    let of = |wanted, top| span(wanted, 3, top).map(|span| (span.from, span.to));
    assert_eq!(of(Wanted::Newest, 10), Some((8, 10)));
    assert_eq!(of(Wanted::Newest, 2), Some((1, 2)));
    assert_eq!(of(Wanted::Newest, 0), None);
    assert_eq!(of(Wanted::Before(5), 10), Some((2, 4)));
    assert_eq!(of(Wanted::Before(99), 10), Some((8, 10)));
    assert_eq!(of(Wanted::Before(1), 10), None);
    assert_eq!(of(Wanted::After(0), 10), Some((1, 3)));
    assert_eq!(of(Wanted::After(9), 10), Some((10, 10)));
    assert_eq!(of(Wanted::After(10), 10), None);
    assert_eq!(of(Wanted::Around(5), 10), Some((4, 6)));
    assert_eq!(of(Wanted::Around(1), 10), Some((1, 3)));
    assert_eq!(of(Wanted::Around(10), 10), Some((8, 10)));
    assert_eq!(of(Wanted::Around(99), 10), Some((8, 10)));
    assert_eq!(of(Wanted::Around(7), 0), None);
}

#[test]
fn a_hole_is_told() {
    let page = Span { from: 1, to: 9 };
    let merged = merged(page, events(7..=8), events(2..=4));
    assert_eq!(seqs(&merged), [2, 3, 4, 7, 8]);
    let holes: Vec<_> = merged
        .holes
        .iter()
        .map(|hole| (hole.from, hole.to))
        .collect();
    assert_eq!(holes, [(1, 1), (5, 6), (9, 9)]);
}

#[test]
fn a_page_too_heavy_keeps_what_was_asked_for() {
    let (seqs, sizes) = ([1, 2, 3, 4, 5], [10; 5]);
    assert_eq!(fitting(Wanted::Newest, &seqs, &sizes, 25), 3..5);
    assert_eq!(fitting(Wanted::After(0), &seqs, &sizes, 25), 0..2);
    assert_eq!(fitting(Wanted::Around(3), &seqs, &sizes, 30), 1..4);
    assert_eq!(fitting(Wanted::Around(5), &seqs, &sizes, 30), 2..5);
    assert_eq!(fitting(Wanted::Newest, &seqs, &sizes, 5), 4..5);
    assert_eq!(fitting(Wanted::Newest, &[], &[], 5), 0..0);
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::Newest),
        (1..60u64).prop_map(Wanted::Before),
        (0..60u64).prop_map(Wanted::After),
        (1..60u64).prop_map(Wanted::Around),
    ]
}

proptest! {
    /// Wherever ring and archive meet or overlap, and whatever is asked for, the page is a piece
    /// of the room's log.
    #[test]
    fn ring_and_archive_meet_without_a_seam(
        top in 0..50u64, archived in 0..50u64, ring in 0..50u64,
        wanted in any_wanted(), limit in 1..20u64,
    ) {
        // The ring always reaches down to what is archived.
        let archived = archived.min(top);
        let ring_from = top.saturating_sub(ring).min(archived) + 1;
        let Some(page) = span(wanted, limit, top) else {
            return Ok(());
        };
        let merged = merged(page, events(ring_from..=top), events(1..=archived));
        prop_assert_eq!(seqs(&merged), (page.from..=page.to).collect::<Vec<_>>());
        prop_assert!(merged.holes.is_empty());
        prop_assert!(page.to - page.from < limit);
    }

    /// What is missing is told exactly, and nothing else is.
    #[test]
    fn events_and_holes_make_up_the_span(
        ring in prop::collection::btree_set(1..40u64, 0..20),
        archived in prop::collection::btree_set(1..40u64, 0..20),
        from in 1..40u64, length in 0..20u64,
    ) {
        let page = Span { from, to: from + length };
        let merged = merged(page, events(ring.clone()), events(archived.clone()));
        let mut all = seqs(&merged);
        prop_assert!(all.iter().all(|seq| ring.contains(seq) || archived.contains(seq)));
        for hole in &merged.holes {
            prop_assert!(hole.from <= hole.to);
            for seq in hole.from..=hole.to {
                prop_assert!(!ring.contains(&seq) && !archived.contains(&seq));
                all.push(seq);
            }
        }
        all.sort_unstable();
        prop_assert_eq!(all, (page.from..=page.to).collect::<Vec<_>>());
    }

    /// Leafing through a room, back or on, brings every event once.
    #[test]
    fn leafing_brings_everything_once(top in 0..60u64, limit in 1..10u64) {
        let mut seen = Vec::new();
        let mut before = u64::MAX;
        while let Some(page) = span(Wanted::Before(before), limit, top) {
            seen.splice(0..0, page.from..=page.to);
            before = page.from;
        }
        prop_assert_eq!(&seen, &(1..=top).collect::<Vec<_>>());
        seen.clear();
        while let Some(page) = span(Wanted::After(seen.len() as u64), limit, top) {
            seen.extend(page.from..=page.to);
        }
        prop_assert_eq!(seen, (1..=top).collect::<Vec<_>>());
    }

    /// A page cut to size is a piece of it, within the size, and has what was asked for.
    #[test]
    fn a_cut_page_holds_its_anchor(
        sizes in prop::collection::vec(1..100usize, 1..20), most in 1..500usize, wanted in any_wanted(),
    ) {
        let seqs: Vec<u64> = (10..10 + sizes.len() as u64).collect();
        let kept = fitting(wanted, &seqs, &sizes, most);
        prop_assert!(!kept.is_empty() && kept.end <= sizes.len());
        let bytes: usize = sizes[kept.clone()].iter().sum();
        prop_assert!(bytes <= most || kept.len() == 1);
        match wanted {
            Wanted::Newest | Wanted::Before(_) => prop_assert_eq!(kept.end, sizes.len()),
            Wanted::After(_) => prop_assert_eq!(kept.start, 0),
            Wanted::Around(seq) if seqs.contains(&seq) => {
                prop_assert!(seqs[kept].contains(&seq));
            }
            Wanted::Around(_) => {}
        }
    }
}

use chinwag_archive::{Archive, High, PAGE_MOST, Range, RecentId};
use chinwag_protocol::position::Position;

use crate::rows::{TIME, commit, id, named, room, said, seqs, talk, user};

pub async fn a_page_goes_up_or_down_between_two_ends(archive: &dyn Archive) {
    commit(archive, &talk("lobby", 1..=30), "1-30").await;
    commit(archive, &talk("hall", 1..=5), "1-35").await;
    let page = async |from_seq, to_seq, limit, ascending| {
        let range = Range {
            from_seq,
            to_seq,
            limit,
            ascending,
        };
        seqs(&archive.page(&room("lobby"), range).await.unwrap())
    };
    assert_eq!(page(28, u64::MAX, 50, true).await, [28, 29, 30]);
    assert_eq!(page(0, 10, 3, true).await, [1, 2, 3]);
    assert_eq!(page(0, 10, 3, false).await, [10, 9, 8]);
    assert_eq!(page(5, 5, 3, false).await, [5]);
    assert_eq!(page(6, 5, 3, true).await, [0; 0]);
    assert_eq!(page(1, 5, 0, true).await, [0; 0]);
    assert_eq!(page(31, u64::MAX, 9, true).await, [0; 0]);
    assert_eq!(page(u64::MAX, u64::MAX, 9, true).await, [0; 0]);
    let newest = archive
        .page(&room("hall"), Range::before(u64::MAX, 2))
        .await
        .unwrap();
    assert_eq!(seqs(&newest), [5, 4]);
    let first = archive
        .page(&room("hall"), Range::from(1, 2))
        .await
        .unwrap();
    assert_eq!(seqs(&first), [1, 2]);
}

pub async fn a_page_has_a_largest_size(archive: &dyn Archive) {
    commit(archive, &talk("lobby", 1..=1200), "1-1200").await;
    let page = archive
        .page(&room("lobby"), Range::from(0, usize::MAX))
        .await
        .unwrap();
    assert_eq!(page.len(), PAGE_MOST);
    let ids = archive
        .recent_ids(&room("lobby"), 0, usize::MAX)
        .await
        .unwrap();
    assert_eq!(ids.len(), PAGE_MOST);
}

pub async fn an_unknown_room_is_empty(archive: &dyn Archive) {
    let nowhere = room("nowhere");
    assert_eq!(archive.page(&nowhere, Range::from(0, 9)).await.unwrap(), []);
    assert_eq!(archive.high(&nowhere).await.unwrap(), None);
    assert_eq!(archive.messages_at(&nowhere, 9).await.unwrap(), None);
    assert_eq!(
        archive
            .find(&nowhere, Some(&user("ann")), &id("m"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(archive.recent_ids(&nowhere, 0, 9).await.unwrap(), []);
}

pub async fn high_and_messages_are_those_of_the_last_event(archive: &dyn Archive) {
    let mut rows = talk("lobby", 3..=12);
    for row in &mut rows {
        row.event.messages = row.event.seq / 2;
        row.event.epoch = row.event.seq / 5;
    }
    commit(archive, &rows, "1-12").await;
    let high = High {
        seq: 12,
        messages: 6,
        epoch: 2,
        time: TIME + 12,
    };
    assert_eq!(archive.high(&room("lobby")).await.unwrap(), Some(high));
    for (seq, messages) in [(2, None), (3, Some(1)), (9, Some(4)), (u64::MAX, Some(6))] {
        assert_eq!(
            archive.messages_at(&room("lobby"), seq).await.unwrap(),
            messages
        );
    }
}

pub async fn an_event_is_found_by_its_name(archive: &dyn Archive) {
    let rows = talk("lobby", 1..=9);
    commit(archive, &rows, "1-9").await;
    let find = async |who, name| {
        archive
            .find(&room("lobby"), Some(&user(who)), &id(name))
            .await
    };
    assert_eq!(
        find("ann", "m4").await.unwrap(),
        Some(rows[3].event.clone())
    );
    assert_eq!(find("bob", "m4").await.unwrap(), None);
    assert_eq!(find("ann", "M4").await.unwrap(), None);
}

pub async fn recent_ids_come_in_order_after_a_sequence(archive: &dyn Archive) {
    let mut rows = vec![
        named("lobby", 1, "a", ""),
        named("lobby", 2, "b", ""),
        said("lobby", 3, "without an id"),
        named("lobby", 4, "b", "again"),
        named("lobby", 5, "c", ""),
    ];
    rows[4].event.sender = None;
    commit(archive, &rows, "1-5").await;
    let recent = |seq, name, sender| RecentId {
        sender,
        id: id(name),
        position: Position::new(1, seq),
        time: TIME + seq,
    };
    let ids = archive.recent_ids(&room("lobby"), 1, 9).await.unwrap();
    assert_eq!(
        ids,
        [recent(2, "b", Some(user("ann"))), recent(5, "c", None)]
    );
    let ids = archive.recent_ids(&room("lobby"), 0, 1).await.unwrap();
    assert_eq!(ids, [recent(1, "a", Some(user("ann")))]);
}

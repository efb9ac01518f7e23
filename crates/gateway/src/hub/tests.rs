use std::time::Instant;

use chinwag_protocol::event::{Content, Event, Kind};
use chinwag_protocol::json::Json;
use proptest::prelude::*;

use super::*;
use crate::hub::subscriber::WAITING_MOST;

fn delivery(seq: u64) -> Arc<Delivery> {
    let content = Content::Publication {
        data: Json::of(&seq),
    };
    let event = Event {
        seq,
        epoch: 1,
        time: 0,
        messages: 0,
        sender: None,
        client: None,
        id: None,
        content,
    };
    let room = RoomId::new("lobby").unwrap();
    Arc::new(Delivery::event(room, Kind::Channel, &event, Instant::now()))
}

fn lobby(outbox: usize) -> (Hub, RoomId, Rc<Connection>) {
    let (hub, room) = (Hub::default(), RoomId::new("lobby").unwrap());
    let client = chinwag_protocol::id::ClientId::new("c").unwrap();
    let encoding = chinwag_protocol::codec::Encoding::Json;
    let connection = Connection::new(1, client, encoding, outbox);
    drop(hub.enter(&room, &connection, false));
    hub.opened(&room, Some(Position::new(1, 0)));
    (hub, room, connection)
}

#[test]
fn what_has_no_position_keeps_its_place() {
    let room = RoomId::new("lobby").unwrap();
    let joined = Arc::new(Delivery::data(room, &Json::of(&"joined")));
    let waiting = vec![delivery(2), Arc::clone(&joined), delivery(3), joined];
    let (last, later) = continued(Position::new(1, 1), waiting);
    let places: Vec<_> = later
        .iter()
        .map(|one| one.position.map(|at| at.seq))
        .collect();
    assert_eq!((last, places), (3, vec![Some(2), None, Some(3), None]));
}

#[test]
fn a_subscriber_who_reads_for_too_long_reads_on() {
    let most = u64::try_from(WAITING_MOST).unwrap();
    for events in [most, most + 1] {
        let (hub, room, connection) = lobby(1_000_000);
        for seq in 1..=events {
            hub.deliver(&delivery(seq));
        }
        let (read, later) = hub.start(&room, 1, Some(Position::new(1, 0))).unwrap();
        assert_eq!((read.seq, later.len()), (0, WAITING_MOST));
        assert_eq!(connection.behind.is_any(), events > most);
    }
}

#[test]
fn a_hole_on_one_thread_is_read_from_the_log() {
    let (hub, room, connection) = lobby(1_000_000);
    hub.start(&room, 1, None).unwrap();
    hub.deliver(&delivery(1));
    assert_eq!(hub.deliver(&delivery(3)).count, 0);
    assert!(connection.behind.is_any());
    assert_eq!(hub.read_on(&room, 1), Some(Position::new(1, 1)));
}

#[test]
fn who_is_behind_is_told_of_an_epoch_with_what_it_has() {
    let (hub, room, connection) = lobby(300);
    hub.start(&room, 1, None).unwrap();
    for seq in 1..=20 {
        hub.deliver(&delivery(seq));
    }
    assert!(connection.behind.is_any());
    hub.moved(&room, Position::new(2, 20));
    let last = hub.readers(&room).pop().unwrap().last.unwrap();
    assert!((1..20).contains(&last), "{last}");
    assert_eq!(hub.read_on(&room, 1), Some(Position::new(2, last)));
}

#[test]
fn what_was_skipped_is_read_by_whoever_lacks_it() {
    let (hub, room, connection) = lobby(1_000_000);
    hub.start(&room, 1, None).unwrap();
    hub.skipped(&room, Position::new(1, 900));
    assert!(connection.behind.is_any());
    assert_eq!(hub.read_on(&room, 1), Some(Position::new(1, 0)));
    assert!(hub.level(&room, 1, Position::new(1, 900), &mut Delivered::default()));
    assert_eq!(hub.deliver(&delivery(901)).count, 1);
}

#[test]
fn whoever_was_answered_is_told_when_the_room_cannot_be_had() {
    let (hub, room, _connection) = lobby(1_000_000);
    hub.start(&room, 1, None).unwrap();
    assert_eq!(hub.opened(&room, None).len(), 1);
}

#[test]
fn what_was_read_in_one_epoch_is_not_put_before_what_is_heard_in_another() {
    for (read, heard) in [(2, 1), (1, 2)] {
        let (hub, room, _connection) = lobby(1_000_000);
        hub.moved(&room, Position::new(heard, 0));
        hub.deliver(&delivery(1));
        assert!(hub.start(&room, 1, Some(Position::new(read, 1))).is_none());
        assert!(hub.start(&room, 1, Some(Position::new(heard, 1))).is_some());
    }
}

#[test]
fn what_waited_when_an_epoch_began_is_read_again() {
    let (hub, room, connection) = lobby(1_000_000);
    hub.deliver(&delivery(1));
    hub.deliver(&delivery(2));
    hub.moved(&room, Position::new(2, 2));
    let (last, later) = hub.start(&room, 1, Some(Position::new(2, 1))).unwrap();
    assert_eq!((last, later.len()), (Position::new(2, 1), 0));
    assert!(connection.behind.is_any());
    assert_eq!(hub.read_on(&room, 1), Some(Position::new(2, 1)));
}

#[test]
fn an_event_of_before_takes_no_room_back_into_its_epoch() {
    let (hub, room, _connection) = lobby(1_000_000);
    hub.moved(&room, Position::new(2, 0));
    hub.deliver(&delivery(1));
    assert_eq!(hub.position(&room), Some(Position::new(2, 1)));
}

#[test]
fn who_waits_for_an_epoch_is_told_when_it_begins_and_when_the_room_is_left() {
    let (hub, room, _connection) = lobby(1_000_000);
    let mut turned = hub.turned(&room).unwrap();
    hub.deliver(&delivery(1));
    assert_eq!(turned.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    hub.moved(&room, Position::new(2, 1));
    assert_eq!(turned.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    let mut turned = hub.turned(&room).unwrap();
    hub.leave(&room, 1);
    assert_eq!(turned.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(hub.turned(&room).is_none());
}

proptest! {
    #[test]
    fn what_was_read_and_what_came_meanwhile_meet_without_a_hole(
        read in 0u64..20, first in 0u64..20, count in 0u64..20
    ) {
        let waiting = (first + 1..=first + count).map(delivery).collect();
        let (last, later) = continued(Position::new(1, read), waiting);
        let seqs: Vec<u64> = later.iter().map(|one| one.position.unwrap().seq).collect();
        prop_assert_eq!(last, seqs.last().copied().unwrap_or(read));
        let newest = if first > read { read } else { first + count };
        let expected: Vec<u64> = (read + 1..=newest).collect();
        prop_assert_eq!(seqs, expected);
    }
}

//! Conversations with a server that is played by the test.

mod rubbish;
mod server;
mod simulation;

use std::collections::BTreeMap;

use bytes::Bytes;
use chinwag_protocol::codec::Encoding;
use chinwag_protocol::push::{ClientInfo, Publication, Push, Subscribe, Unsubscribe};
use chinwag_protocol::reply;
use chinwag_protocol::request::{StreamPosition, SubscribeRequest};
use chinwag_protocol::result::{RpcResult, SubscribeResult};
use tokio::sync::oneshot;

use super::*;
use crate::connect::Options;
use crate::message::{Message, Sent};
use crate::notice::Subscribed;
use crate::request::Subscription;

/// A session that has just begun its first connection.
fn begun() -> Session {
    let mut session = Session::new(&Options {
        outbox: 10,
        ..Options::new("ws://test/", "")
    });
    session.begin();
    session
}

/// A session whose connection is open, in the rooms that the server wants it in.
fn open(subs: BTreeMap<String, SubscribeResult>) -> Session {
    let mut session = begun();
    let_in(&mut session, subs);
    session
}

fn let_in(session: &mut Session, subs: BTreeMap<String, SubscribeResult>) {
    let (id, method) = said(session).remove(0);
    assert!(matches!(method, Method::Connect(_)));
    let result = ConnectResult {
        client: "c".to_owned(),
        subs,
        ..ConnectResult::default()
    };
    hear(session, id, Outcome::Connect(result));
}

/// What the session says, and forgets.
fn said(session: &mut Session) -> Vec<(u32, Method)> {
    let commands = std::mem::take(&mut session.commands).into_iter();
    commands
        .map(|command| (command.id, command.method.unwrap()))
        .collect()
}

fn asked_for(session: &mut Session) -> Vec<(u32, SubscribeRequest)> {
    let said = said(session).into_iter();
    said.map(|(id, method)| match method {
        Method::Subscribe(request) => (id, request),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn letters(session: &mut Session) -> Vec<(u32, String)> {
    let said = said(session).into_iter();
    said.map(|(id, method)| match method {
        Method::Rpc(rpc) => {
            let argument: serde_json::Value = serde_json::from_slice(&rpc.data).unwrap();
            (id, argument["id"].as_str().unwrap().to_owned())
        }
        other => panic!("{other:?}"),
    })
    .collect()
}

fn hear(session: &mut Session, id: u32, outcome: Outcome) {
    session.heard(Reply::new(id, outcome)).unwrap();
}

fn refuse(session: &mut Session, id: u32, code: u32, temporary: bool) -> Result<(), Error> {
    let error = reply::Error {
        code,
        message: "no".to_owned(),
        temporary,
    };
    session.heard(Reply::new(id, Outcome::Error(error)))
}

fn push(session: &mut Session, room: &str, happening: Happening) -> Result<(), Error> {
    session.heard(Reply::new(0, Outcome::Push(Push::new(room, happening))))
}

fn publish(session: &mut Session, room: &str, offset: u64) -> Result<(), Error> {
    push(session, room, Happening::Pub(publication(offset)))
}

fn publication(offset: u64) -> Publication {
    Publication {
        offset,
        ..Publication::default()
    }
}

fn result(offset: u64, missed: &[u64]) -> SubscribeResult {
    SubscribeResult {
        recoverable: true,
        epoch: "1".to_owned(),
        offset,
        publications: missed.iter().copied().map(publication).collect(),
        recovered: true,
        was_recovering: true,
        ..SubscribeResult::default()
    }
}

/// The notices in few words, and forgets them.
fn notices(session: &mut Session) -> Vec<String> {
    let notices = session.notices.drain(..);
    notices
        .map(|notice| match notice {
            Notice::Connected(_) => "connected".to_owned(),
            Notice::Disconnected { comes_back, .. } => format!("disconnected {comes_back}"),
            Notice::Subscribed(Subscribed { room, missed, .. }) => {
                format!(
                    "in {room}{}",
                    if missed.is_some() { " with a gap" } else { "" }
                )
            }
            Notice::Unsubscribed { room, code, .. } => format!("out of {room}: {code}"),
            Notice::Publication {
                room, publication, ..
            } => format!("{room} {}", publication.offset),
            Notice::Rewound { room, from, to } => {
                format!("{room} back from {} to {}", from.offset, to.offset)
            }
            Notice::Durable(durable) => format!("{} durable", durable.id),
            other => format!("{other:?}"),
        })
        .collect()
}

fn subscribe(session: &mut Session, room: &str) -> oneshot::Receiver<Result<Subscribed, Error>> {
    let (answer, answered) = oneshot::channel();
    let how = Subscription::default();
    session.asked(Request::Subscribe(room.to_owned(), how, answer));
    answered
}

fn message(session: &mut Session, id: &str) -> oneshot::Receiver<Result<Sent, Error>> {
    let letter = Message {
        room: "a".to_owned(),
        id: id.to_owned(),
        body: Bytes::from_static(b"1"),
        ack: None,
    };
    let (answer, answered) = oneshot::channel();
    session.asked(Request::Message(letter, answer));
    answered
}

fn acknowledge(session: &mut Session, command: u32, id: &str) {
    let sent = format!(
        r#"{{"id":"{id}","seq":1,"epoch":"1","time":2,"durability":"accepted","duplicate":false}}"#
    );
    let data = Bytes::from(sent);
    hear(session, command, Outcome::Rpc(RpcResult { data }));
}

fn lose(session: &mut Session) {
    let error = Error::Closed(Closed::abnormal("test"));
    session.lost(&error, true);
    session.begin();
}

#[test]
fn a_room_is_asked_for_again_from_where_it_stood() {
    let mut session = open(BTreeMap::new());
    let mut answered = subscribe(&mut session, "a");
    let (id, request) = asked_for(&mut session).remove(0);
    assert!(!request.recover && request.recoverable && request.positioned);
    hear(&mut session, id, Outcome::Subscribe(result(5, &[])));
    assert_eq!(answered.try_recv().unwrap().unwrap().position.offset, 5);
    publish(&mut session, "a", 6).unwrap();
    publish(&mut session, "a", 6).unwrap();
    assert_eq!(notices(&mut session), ["connected", "in a", "a 6"]);

    lose(&mut session);
    let_in(&mut session, BTreeMap::new());
    let (id, request) = asked_for(&mut session).remove(0);
    assert_eq!(
        (request.recover, request.offset, request.epoch.as_str()),
        (true, 6, "1")
    );
    hear(&mut session, id, Outcome::Subscribe(result(8, &[7, 8])));
    publish(&mut session, "a", 8).unwrap();
    publish(&mut session, "a", 9).unwrap();
    assert_eq!(
        notices(&mut session),
        [
            "disconnected true",
            "connected",
            "in a",
            "a 7",
            "a 8",
            "a 9"
        ]
    );
}

#[test]
fn rooms_of_the_servers_go_on_in_the_connect_frame() {
    let subs = [
        ("#u".to_owned(), result(2, &[])),
        ("b".to_owned(), result(0, &[])),
    ];
    let mut session = open(subs.into());
    publish(&mut session, "#u", 3).unwrap();
    let _forget = notices(&mut session);

    lose(&mut session);
    let (id, method) = said(&mut session).remove(0);
    let Method::Connect(connect) = method else {
        panic!("{method:?}")
    };
    assert_eq!(
        (connect.subs["#u"].recover, connect.subs["#u"].offset),
        (true, 3)
    );
    assert_eq!(
        (connect.subs["b"].recover, connect.subs["b"].offset),
        (true, 0)
    );
    let subs = [("#u".to_owned(), result(4, &[4]))].into();
    let connected = ConnectResult {
        subs,
        ..ConnectResult::default()
    };
    hear(&mut session, id, Outcome::Connect(connected));
    assert_eq!(
        notices(&mut session),
        [
            "disconnected true",
            "connected",
            "out of b: 2000",
            "in #u",
            "#u 4"
        ]
    );
    assert!(said(&mut session).is_empty());
}

#[test]
fn a_gap_ends_the_connection_and_recovers_on_the_next() {
    let mut session = open([("b".to_owned(), result(1, &[]))].into());
    publish(&mut session, "b", 2).unwrap();
    let error = publish(&mut session, "b", 4).unwrap_err();
    assert!(error.to_string().contains("gap in b: 4 after 2"), "{error}");
    lose(&mut session);
    let_in(&mut session, [("b".to_owned(), result(4, &[3, 4]))].into());
    assert_eq!(
        notices(&mut session),
        [
            "connected",
            "in b",
            "b 2",
            "disconnected true",
            "connected",
            "in b",
            "b 3",
            "b 4"
        ]
    );
}

#[test]
fn what_cannot_be_recovered_is_told() {
    let mut session = open([("b".to_owned(), result(1, &[]))].into());
    lose(&mut session);
    let mut lost = result(900, &[]);
    lost.recovered = false;
    let_in(&mut session, [("b".to_owned(), lost)].into());
    publish(&mut session, "b", 901).unwrap();
    assert_eq!(notices(&mut session)[4..], ["in b with a gap", "b 901"]);
}

#[test]
fn a_room_that_the_server_begins_is_counted_from_there() {
    let mut session = open(BTreeMap::new());
    let begun = Subscribe {
        recoverable: true,
        epoch: "1".to_owned(),
        offset: 7,
        ..Subscribe::default()
    };
    publish(&mut session, "new", 7).unwrap();
    push(&mut session, "new", Happening::Subscribe(begun)).unwrap();
    publish(&mut session, "new", 7).unwrap();
    publish(&mut session, "new", 8).unwrap();
    assert_eq!(notices(&mut session), ["connected", "in new", "new 8"]);
    let mut answered = subscribe(&mut session, "new");
    let subscribed = answered.try_recv().unwrap().unwrap();
    assert!(subscribed.by_server && subscribed.position.offset == 8);
    assert!(said(&mut session).is_empty());
}

#[test]
fn messages_go_out_again_under_the_same_id_until_durable() {
    let mut session = open(BTreeMap::new());
    let mut first = message(&mut session, "m-1");
    let mut second = message(&mut session, "m-2");
    let sent = letters(&mut session);
    assert_eq!((sent[0].1.as_str(), sent.len()), ("m-1", 1));
    acknowledge(&mut session, sent[0].0, "m-1");
    assert_eq!(first.try_recv().unwrap().unwrap().seq, 1);
    assert_eq!(letters(&mut session)[0].1, "m-2");

    lose(&mut session);
    let_in(&mut session, BTreeMap::new());
    for id in ["m-1", "m-2"] {
        let sent = letters(&mut session);
        assert_eq!(sent[0].1, id);
        acknowledge(&mut session, sent[0].0, id);
    }
    assert!(second.try_recv().unwrap().is_ok());
    let mark = Publication {
        data: Bytes::from_static(br#"{"type":"archived","seq":1,"epoch":"1"}"#),
        ..Publication::default()
    };
    let _forget = notices(&mut session);
    // One that says who published it was published by anybody.
    let forged = Publication {
        info: Some(ClientInfo::default()),
        ..mark.clone()
    };
    push(&mut session, "a", Happening::Pub(forged)).unwrap();
    assert!(notices(&mut session).is_empty());
    push(&mut session, "a", Happening::Pub(mark)).unwrap();
    assert_eq!(notices(&mut session), ["m-1 durable", "m-2 durable"]);
    lose(&mut session);
    let_in(&mut session, BTreeMap::new());
    assert!(said(&mut session).is_empty());
}

#[test]
fn a_message_refused_for_now_is_sent_again() {
    let mut session = open(BTreeMap::new());
    let mut first = message(&mut session, "m-1");
    let sent = letters(&mut session);
    refuse(&mut session, sent[0].0, 111, true).unwrap();
    assert!(said(&mut session).is_empty());
    assert!(session.has_put_off() && first.try_recv().is_err());
    session.again();
    let sent = letters(&mut session);
    assert_eq!(sent[0].1, "m-1");
    assert!(!session.has_put_off());
    refuse(&mut session, sent[0].0, 404, false).unwrap();
    let refused = first.try_recv().unwrap().unwrap_err();
    assert!(matches!(refused, Error::Reply { code: 404, .. }));
}

#[test]
fn marks_are_asked_for_in_what_the_application_says() {
    let says = |data: &'static str, marks| {
        let mut session = Session::new(&Options {
            data: Bytes::from_static(data.as_bytes()),
            marks,
            ..Options::new("ws://test/", "")
        });
        session.begin();
        match said(&mut session).remove(0).1 {
            Method::Connect(connect) => String::from_utf8(connect.data.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(says("", true), r#"{"marks":true}"#);
    assert_eq!(says(r#"{"a":1}"#, true), r#"{"a":1,"marks":true}"#);
    assert_eq!(says("[1]", true), "[1]");
    assert_eq!(says("", false), "");
}

#[test]
fn a_room_that_lost_its_tail_is_gone_on_with_from_what_surely_holds() {
    let mut session = open([("b".to_owned(), result(5, &[]))].into());
    publish(&mut session, "b", 6).unwrap();
    publish(&mut session, "b", 7).unwrap();
    let _forget = notices(&mut session);
    let begun = Subscribe {
        recoverable: true,
        epoch: "2".to_owned(),
        offset: 9,
        ..Subscribe::default()
    };
    push(&mut session, "b", Happening::Subscribe(begun)).unwrap();
    let asked = said(&mut session);
    assert!(matches!(&asked[1].1, Method::Subscribe(s) if s.recover && s.offset == 7));
    let lost = SubscribeResult {
        recovered: false,
        epoch: "2".to_owned(),
        ..result(9, &[])
    };
    hear(&mut session, asked[1].0, Outcome::Subscribe(lost));
    let asked = said(&mut session);
    assert!(matches!(&asked[0].1, Method::Unsubscribe(_)));
    assert!(matches!(&asked[1].1, Method::Subscribe(s) if s.recover && s.offset == 5));
    let found = SubscribeResult {
        epoch: "2".to_owned(),
        ..result(9, &[6, 7, 8, 9])
    };
    hear(&mut session, asked[1].0, Outcome::Subscribe(found));
    let expected = ["b back from 7 to 5", "in b", "b 6", "b 7", "b 8", "b 9"];
    assert_eq!(notices(&mut session), expected);
    publish(&mut session, "b", 10).unwrap();
    assert_eq!(notices(&mut session), ["b 10"]);
}

#[test]
fn kept_positions_are_gone_on_from_whoever_asks_for_the_room() {
    let at = |offset| StreamPosition {
        offset,
        epoch: "1".to_owned(),
    };
    let positions = [("a".to_owned(), at(3)), ("b".to_owned(), at(4))].into();
    let mut session = Session::new(&Options {
        positions,
        ..Options::new("ws://test/", "")
    });
    session.begin();
    let (id, method) = said(&mut session).remove(0);
    assert!(
        matches!(&method, Method::Connect(c) if c.subs["a"].offset == 3 && c.subs["b"].recover)
    );
    let subs = [("b".to_owned(), result(5, &[5]))].into();
    let connected = ConnectResult {
        subs,
        ..ConnectResult::default()
    };
    hear(&mut session, id, Outcome::Connect(connected));
    let _answered = subscribe(&mut session, "a");
    let (_, request) = asked_for(&mut session).remove(0);
    assert!(request.recover && request.offset == 3);
    assert_eq!(notices(&mut session), ["connected", "in b", "b 5"]);
}

#[test]
fn a_full_outbox_and_a_malformed_body_are_refused() {
    let mut session = begun();
    let mut waiting: Vec<_> = (0..11)
        .map(|n| message(&mut session, &n.to_string()))
        .collect();
    assert_eq!(waiting[10].try_recv().unwrap(), Err(Error::Full));
    assert!(waiting[9].try_recv().is_err());
    session.end(&Error::Ended);
    assert_eq!(waiting[0].try_recv().unwrap(), Err(Error::Ended));
}

#[test]
fn calls_wait_for_a_session_and_fail_with_it() {
    let mut session = begun();
    let ping = || Method::Ping(chinwag_protocol::request::PingRequest {});
    let (answer, mut answered) = oneshot::channel();
    session.asked(Request::Call(ping(), answer));
    let_in(&mut session, BTreeMap::new());
    assert_eq!(said(&mut session).len(), 1);
    let error = Error::Closed(Closed::abnormal("test"));
    session.lost(&error, true);
    assert_eq!(answered.try_recv().unwrap(), Err(error));
}

#[test]
fn a_refused_subscription_is_tried_again_only_if_that_can_help() {
    let mut session = open(BTreeMap::new());
    let mut answered = subscribe(&mut session, "a");
    let (id, _) = asked_for(&mut session).remove(0);
    refuse(&mut session, id, 100, true).unwrap();
    assert!(answered.try_recv().is_err() && session.has_put_off());
    session.again();
    let (id, _) = asked_for(&mut session).remove(0);
    refuse(&mut session, id, 103, false).unwrap();
    let refused = answered.try_recv().unwrap().unwrap_err();
    assert!(matches!(refused, Error::Reply { code: 103, .. }));
    assert!(!session.has_put_off());
    assert_eq!(notices(&mut session), ["connected"]);
}

#[test]
fn an_unsubscribe_push_means_ask_again_or_leave_it() {
    let mut session = open([("b".to_owned(), result(1, &[]))].into());
    let _answered = subscribe(&mut session, "a");
    let (id, _) = asked_for(&mut session).remove(0);
    hear(&mut session, id, Outcome::Subscribe(result(5, &[])));
    let unsubscribe = |code| {
        let reason = "because".to_owned();
        Happening::Unsubscribe(Unsubscribe { code, reason })
    };
    push(&mut session, "a", unsubscribe(2500)).unwrap();
    assert!(session.has_put_off());
    session.again();
    let (id, request) = asked_for(&mut session).remove(0);
    assert!(request.recover && request.offset == 5);
    hear(&mut session, id, Outcome::Subscribe(result(5, &[])));
    push(&mut session, "a", unsubscribe(2502)).unwrap();
    session.again();
    assert!(!asked_for(&mut session).remove(0).1.recover);
    push(&mut session, "b", unsubscribe(2000)).unwrap();
    assert_eq!(notices(&mut session).last().unwrap(), "out of b: 2000");
}

#[test]
fn a_late_answer_to_a_subscription_given_up_is_not_taken_for_the_next() {
    let mut session = open(BTreeMap::new());
    let _first = subscribe(&mut session, "a");
    let (first, _) = asked_for(&mut session).remove(0);
    let (answer, mut left) = oneshot::channel();
    session.asked(Request::Unsubscribe("a".to_owned(), answer));
    let (leave, _) = said(&mut session).remove(0);
    let mut answered = subscribe(&mut session, "a");
    let (second, _) = asked_for(&mut session).remove(0);
    hear(&mut session, first, Outcome::Subscribe(result(5, &[])));
    assert!(answered.try_recv().is_err());
    hear(
        &mut session,
        leave,
        Outcome::Unsubscribe(Default::default()),
    );
    assert_eq!(left.try_recv().unwrap(), Ok(()));
    hear(&mut session, second, Outcome::Subscribe(result(6, &[])));
    assert_eq!(answered.try_recv().unwrap().unwrap().position.offset, 6);
}

#[test]
fn a_position_given_by_the_application_is_gone_on_from() {
    let mut session = open(BTreeMap::new());
    let (answer, _answered) = oneshot::channel();
    let since = Some(StreamPosition {
        offset: 3,
        epoch: "1".to_owned(),
    });
    let how = Subscription {
        since,
        ..Subscription::default()
    };
    session.asked(Request::Subscribe("a".to_owned(), how, answer));
    let (id, request) = asked_for(&mut session).remove(0);
    assert!(request.recover && request.offset == 3);
    hear(&mut session, id, Outcome::Subscribe(result(5, &[4, 5])));
    assert_eq!(notices(&mut session), ["connected", "in a", "a 4", "a 5"]);
}

#[test]
fn a_refused_connection_is_an_error() {
    let mut session = begun();
    let (id, _) = said(&mut session).remove(0);
    let error = refuse(&mut session, id, 109, false).unwrap_err();
    session.lost(&error, false);
    assert_eq!(notices(&mut session), ["disconnected false"]);
}

#[test]
fn a_new_token_is_kept_for_the_next_connection() {
    let mut session = open(BTreeMap::new());
    let (answer, _answered) = oneshot::channel();
    session.asked(Request::Refresh("new".to_owned(), answer));
    assert!(matches!(&said(&mut session)[0].1, Method::Refresh(r) if r.token == "new"));
    lose(&mut session);
    assert!(matches!(&said(&mut session)[0].1, Method::Connect(c) if c.token == "new"));
}

#[test]
fn a_room_that_the_server_takes_over_is_not_passed_over() {
    let mut session = open(BTreeMap::new());
    let _answered = subscribe(&mut session, "a");
    let (id, _) = asked_for(&mut session).remove(0);
    hear(&mut session, id, Outcome::Subscribe(result(5, &[])));
    lose(&mut session);
    // All positions are in the connect frame, whoever wanted the room so far.
    let (id, method) = said(&mut session).remove(0);
    assert!(matches!(&method, Method::Connect(connect) if connect.subs["a"].offset == 5));
    // A server that did not look there is asked again.
    let mut passing = result(9, &[]);
    (passing.was_recovering, passing.recovered) = (false, false);
    let subs = [("a".to_owned(), passing)].into();
    let connected = ConnectResult {
        subs,
        ..ConnectResult::default()
    };
    hear(&mut session, id, Outcome::Connect(connected));
    let said = said(&mut session);
    assert!(matches!(said[0].1, Method::Unsubscribe(_)));
    assert!(matches!(&said[1].1, Method::Subscribe(s) if s.recover && s.offset == 5));
    assert_eq!(said.len(), 2);
    let _forget = notices(&mut session);
    hear(
        &mut session,
        said[1].0,
        Outcome::Subscribe(result(9, &[6, 7, 8, 9])),
    );
    assert_eq!(notices(&mut session), ["in a", "a 6", "a 7", "a 8", "a 9"]);
}

#[test]
fn a_room_that_the_server_began_while_it_was_asked_for_is_not_lost() {
    let mut session = open([("a".to_owned(), result(5, &[]))].into());
    let other_epoch = |offset| {
        Happening::Subscribe(Subscribe {
            recoverable: true,
            positioned: true,
            epoch: "2".to_owned(),
            offset,
            ..Subscribe::default()
        })
    };
    push(&mut session, "a", other_epoch(5)).unwrap();
    let first = said(&mut session)[1].0;
    push(&mut session, "a", other_epoch(6)).unwrap();
    let second = said(&mut session)[1].0;
    // The first asking is no matter any more.
    refuse(&mut session, first, 105, false).unwrap();
    assert!(said(&mut session).is_empty());
    // Nor is the second, but then nobody else has asked for what lies between.
    refuse(&mut session, second, 105, false).unwrap();
    let said = said(&mut session);
    assert!(matches!(said[0].1, Method::Unsubscribe(_)));
    assert!(matches!(&said[1].1, Method::Subscribe(s) if s.recover && s.offset == 5));
    let _forget = notices(&mut session);
    hear(&mut session, said[1].0, Outcome::Subscribe(result(6, &[6])));
    assert_eq!(notices(&mut session), ["in a", "a 6"]);
}

#[test]
fn positions_that_do_not_fit_into_a_frame_are_left_out() {
    let subs = (0..2000).map(|n| (format!("room:{n}"), result(1, &[])));
    let mut session = open(subs.collect());
    lose(&mut session);
    let (_, method) = said(&mut session).remove(0);
    let Method::Connect(connect) = method else {
        panic!("{method:?}")
    };
    let mut frame = bytes::BytesMut::new();
    let command = Command::new(1, Method::Connect(connect));
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        encoding.encode_command(&command, &mut frame).unwrap();
        assert!(
            frame.len() < chinwag_protocol::limit::FRAME_BYTES,
            "{}",
            frame.len()
        );
        frame.clear();
    }
}

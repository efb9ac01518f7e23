//! Ways to spoil a history, each with the check that must catch it.

use super::caught;
use crate::check::history::{Final, History, Level, NOBODY, Record, What};
use crate::check::verdict::Check;

/// The numbers of all records that are such.
fn all(history: &History, such: impl Fn(&What) -> bool) -> Vec<usize> {
    let records = history.records.iter().enumerate();
    records
        .filter(|(_, record)| such(&record.what))
        .map(|(number, _)| number)
        .collect()
}

fn one(history: &History, at: usize, such: impl Fn(&What) -> bool) -> Option<usize> {
    let all = all(history, such);
    (!all.is_empty()).then(|| all[at % all.len()])
}

fn is_delivery(what: &What) -> bool {
    matches!(what, What::Deliver { .. })
}

/// A delivery, and the next one of the same client in the same room.
fn two_in_a_row(history: &History, at: usize) -> Option<(usize, usize)> {
    let first = one(history, at, is_delivery)?;
    let (client, room) = (history.records[first].client, room(history, first));
    let next = (first + 1..history.records.len()).find(|number| {
        let record = &history.records[*number];
        record.client == client && room == self::room(history, *number)
    })?;
    is_delivery(&history.records[next].what).then_some((first, next))
}

fn room(history: &History, number: usize) -> Option<u32> {
    match history.records[number].what {
        What::Deliver { room, .. } | What::Subscribed { room, .. } => Some(room),
        _ => None,
    }
}

/// Changes a room's history, as all gateways give it.
fn in_finals(history: &mut History, room: u32, change: impl Fn(&mut Final)) {
    let of_room = history.finals.iter_mut().filter(|last| last.room == room);
    of_room.for_each(change);
}

/// Sequences as they would be had it always been so.
fn renumber(last: &mut Final) {
    for (seq, event) in (1..).zip(&mut last.events) {
        event.0 = seq;
    }
}

#[test]
fn a_delivery_that_never_came_is_missed() {
    caught(&[Check::C5], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        history.records.remove(number);
        true
    });
}

#[test]
fn a_delivery_that_came_twice_is_seen() {
    caught(&[Check::C5], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        let again = history.records[number].clone();
        history.records.insert(number + 1, again);
        true
    });
}

#[test]
fn deliveries_in_the_wrong_order_are_seen() {
    caught(&[Check::C5], |history, at| {
        let Some((one, other)) = two_in_a_row(history, at) else {
            return false;
        };
        let what = history.records[one].what.clone();
        history.records[one].what = history.records[other].what.clone();
        history.records[other].what = what;
        true
    });
}

#[test]
fn a_delivery_with_another_sequence_is_seen() {
    caught(&[Check::C5], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        if let What::Deliver { seq, .. } = &mut history.records[number].what {
            *seq += 1;
        }
        true
    });
}

#[test]
fn a_delivery_of_something_else_is_seen() {
    caught(&[Check::C5], |history, at| {
        let Some((one, other)) = two_in_a_row(history, at) else {
            return false;
        };
        let What::Deliver { sender, n, .. } = history.records[other].what else {
            return false;
        };
        if let What::Deliver {
            sender: whose,
            n: which,
            ..
        } = &mut history.records[one].what
        {
            (*whose, *which) = (sender, n);
        }
        true
    });
}

#[test]
fn an_end_that_never_came_is_missed() {
    caught(&[Check::C5], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        let (client, room) = (history.records[number].client, room(history, number));
        let last = (0..history.records.len())
            .rev()
            .find(|number| {
                history.records[*number].client == client && self::room(history, *number) == room
            })
            .filter(|number| is_delivery(&history.records[*number].what));
        last.map(|last| history.records.remove(last)).is_some()
    });
}

#[test]
fn an_accepted_message_that_is_gone_is_missed() {
    caught(&[Check::C1], |history, at| {
        let accepted = |what: &What| matches!(what, What::Accepted { .. });
        let Some(number) = one(history, at, accepted) else {
            return false;
        };
        let client = history.records[number].client;
        let What::Accepted { room, n, .. } = history.records[number].what else {
            return false;
        };
        in_finals(history, room, |last| {
            last.events
                .retain(|event| (event.2, event.3) != (client, n));
            renumber(last);
        });
        true
    });
}

#[test]
fn a_durable_message_that_is_elsewhere_is_seen() {
    caught(&[Check::C1], |history, at| {
        let durable = |what: &What| matches!(what, What::Durable { .. });
        let Some(number) = one(history, at, durable) else {
            return false;
        };
        let What::Durable { room, .. } = history.records[number].what else {
            return false;
        };
        in_finals(history, room, |last| {
            last.events.rotate_right(1);
            renumber(last);
        });
        true
    });
}

#[test]
fn an_end_cut_off_is_missed() {
    caught(&[Check::C1, Check::C5], |history, at| {
        let last = &history.finals[at % history.finals.len()];
        let (room, long) = (last.room, last.events.len() > 2);
        in_finals(history, room, |last| {
            last.events.pop();
        });
        long
    });
}

#[test]
fn a_message_that_is_there_twice_is_seen() {
    caught(&[Check::C2], |history, at| {
        let last = &history.finals[at % history.finals.len()];
        let room = last.room;
        let Some(event) = last.events.iter().find(|event| event.2 != NOBODY).copied() else {
            return false;
        };
        in_finals(history, room, |last| {
            last.events.push(event);
            renumber(last);
        });
        true
    });
}

#[test]
fn a_hole_in_the_history_is_seen() {
    caught(&[Check::C3], |history, at| {
        let last = &history.finals[at % history.finals.len()];
        let (room, middle) = (last.room, last.events.len() / 2);
        let long = last.events.len() > 2;
        in_finals(history, room, |last| {
            last.events
                .iter_mut()
                .skip(middle)
                .for_each(|event| event.0 += 1);
        });
        long
    });
}

#[test]
fn two_events_at_one_sequence_are_seen() {
    caught(&[Check::C2], |history, at| {
        let last = &history.finals[at % history.finals.len()];
        let (room, long) = (last.room, last.events.len() > 2);
        in_finals(history, room, |last| last.events[1].0 = 1);
        long
    });
}

#[test]
fn a_message_that_nobody_sent_is_seen() {
    caught(&[Check::C4], |history, at| {
        let room = history.finals[at % history.finals.len()].room;
        in_finals(history, room, |last| {
            let seq = last.events.len() as u64 + 1;
            last.events.push((seq, 1, 2, 1_000_000));
        });
        true
    });
    caught(&[Check::C4], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        if let What::Deliver { sender, n, .. } = &mut history.records[number].what {
            (*sender, *n) = (77, 1);
        }
        true
    });
}

#[test]
fn a_message_that_was_refused_and_is_there_is_seen() {
    caught(&[Check::C4], |history, at| {
        let accepted = |what: &What| matches!(what, What::Accepted { .. });
        let Some(number) = one(history, at, accepted) else {
            return false;
        };
        let client = history.records[number].client;
        let What::Accepted { room, n, .. } = history.records[number].what else {
            return false;
        };
        history.records.iter_mut().for_each(|record| {
            let about = match record.what {
                What::Accepted {
                    room: its, n: m, ..
                } => (its, m) == (room, n),
                What::Durable {
                    room: its, n: m, ..
                } => (its, m) == (room, n),
                _ => false,
            };
            if about && record.client == client {
                let (code, temporary) = (103, false);
                record.what = What::Refused {
                    room,
                    n,
                    code,
                    temporary,
                };
            }
        });
        let sends = all(history, |what| *what == What::Send { room, n });
        let of_client = |number: &&usize| history.records[**number].client == client;
        sends.iter().filter(of_client).count() == 1
    });
}

#[test]
fn an_answer_before_the_question_is_seen() {
    caught(&[Check::C4], |history, at| {
        let accepted = |what: &What| matches!(what, What::Accepted { .. });
        let Some(number) = one(history, at, accepted) else {
            return false;
        };
        history.records[number].at = 0;
        true
    });
}

#[test]
fn an_acknowledgement_that_another_overtook_is_seen() {
    caught(&[Check::C6], |history, at| {
        // Two messages of different senders, the second sent after the first was acknowledged.
        let accepted = |what: &What| matches!(what, What::Accepted { .. });
        let Some(first) = one(history, at, accepted) else {
            return false;
        };
        let What::Accepted { room, seq, .. } = history.records[first].what else {
            return false;
        };
        let client = history.records[first].client;
        let later: Vec<u64> = history.records[first..]
            .iter()
            .filter(|record| record.client != client)
            .filter_map(|record| match record.what {
                What::Send { room: its, n } if its == room => Some((record.client, n)),
                _ => None,
            })
            .filter_map(|(client, n)| {
                let last = history.finals.iter().find(|last| last.room == room)?;
                let place = last
                    .events
                    .iter()
                    .position(|event| (event.2, event.3) == (client, n));
                place.map(|place| place as u64 + 1)
            })
            .filter(|other| *other > seq)
            .collect();
        // Sent again, it may be one that was first sent before.
        let Some(other) = later
            .first()
            .copied()
            .filter(|_| fresh(history, room, later[0], first))
        else {
            return false;
        };
        swap(history, room, seq, other);
        true
    });
}

/// Whether the message at a place was never sent before a record.
fn fresh(history: &History, room: u32, seq: u64, before: usize) -> bool {
    let last = history
        .finals
        .iter()
        .find(|last| last.room == room)
        .unwrap();
    let event = last.events[usize::try_from(seq).unwrap() - 1];
    history.records[..before]
        .iter()
        .all(|record| (record.client, &record.what) != (event.2, &What::Send { room, n: event.3 }))
}

/// Two places change their messages, and all agree that it was always so.
fn swap(history: &mut History, room: u32, one: u64, other: u64) {
    let there = |seq: u64| match seq {
        seq if seq == one => other,
        seq if seq == other => one,
        seq => seq,
    };
    in_finals(history, room, |last| {
        for event in &mut last.events {
            event.0 = there(event.0);
        }
        last.events.sort_unstable();
    });
    for record in &mut history.records {
        match &mut record.what {
            What::Accepted { room: its, seq, .. } | What::Durable { room: its, seq, .. }
                if *its == room =>
            {
                *seq = there(*seq);
            }
            _ => {}
        }
    }
}

#[test]
fn a_sender_whose_messages_changed_places_is_seen() {
    caught(&[Check::C6], |history, at| {
        let last = &history.finals[at % history.finals.len()];
        let room = last.room;
        let events = &last.events;
        let pair = events.iter().enumerate().find_map(|(place, event)| {
            let mut later = events[place + 1..].iter();
            let next = later.find(|other| other.2 == event.2 && event.2 != NOBODY)?;
            Some((event.0, next.0))
        });
        let Some((one, other)) = pair else {
            return false;
        };
        swap(history, room, one, other);
        true
    });
}

#[test]
fn another_answer_when_sent_again_is_seen() {
    caught(&[Check::C7], |history, at| {
        let accepted = |what: &What| matches!(what, What::Accepted { .. });
        let Some(number) = one(history, at, accepted) else {
            return false;
        };
        let mut again: Record = history.records[number].clone();
        if let What::Accepted {
            seq,
            duplicate,
            level,
            ..
        } = &mut again.what
        {
            (*seq, *duplicate, *level) = (*seq + 1, true, Level::Accepted);
        }
        history.records.insert(number, again);
        true
    });
}

#[test]
fn gateways_that_differ_are_seen() {
    caught(&[Check::C8], |history, at| {
        let many = history.finals.len();
        let last = &mut history.finals[at % many];
        let place = at % last.events.len();
        last.events[place].3 += 1;
        true
    });
    caught(&[Check::C8], |history, at| {
        let many = history.finals.len();
        history.finals[at % many].events.pop().is_some()
    });
    caught(&[Check::C8], |history, at| {
        let room = history.finals[at % history.finals.len()].room;
        history.finals.retain(|last| last.room != room);
        history
            .records
            .iter()
            .any(|record| matches!(record.what, What::Send { room: its, .. } if its == room))
    });
}

#[test]
fn an_outsider_who_is_given_something_is_seen() {
    caught(&[Check::C10], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        let (client, room) = (history.records[number].client, room(history, number));
        history.records.retain(|record| match record.what {
            What::Entered { room: its } => (record.client, Some(its)) != (client, room),
            _ => true,
        });
        true
    });
}

#[test]
fn one_who_was_put_out_and_still_listens_is_seen() {
    caught(&[Check::C10], |history, at| {
        let Some(number) = one(history, at, |what| matches!(what, What::Send { .. })) else {
            return false;
        };
        let What::Send { room, n } = history.records[number].what else {
            return false;
        };
        let sender = history.records[number].client;
        let given = history.records.iter().skip(number).find(|record| {
            matches!(record.what, What::Deliver { room: its, sender: whose, n: m, .. }
                if (its, whose, m) == (room, sender, n))
        });
        let Some(client) = given.map(|record| record.client) else {
            return false;
        };
        if !fresh_message(history, number) {
            return false;
        }
        let at = history.records[number].at - 1;
        let what = What::Left { room };
        history.records.insert(number, Record { at, client, what });
        true
    });
}

/// Whether this is the first time that a message is sent.
fn fresh_message(history: &History, number: usize) -> bool {
    let sent = &history.records[number];
    history.records[..number]
        .iter()
        .all(|record| (record.client, &record.what) != (sent.client, &sent.what))
}

#[test]
fn a_rewind_without_a_loss_is_seen() {
    caught(&[Check::C11], |history, at| {
        let Some(number) = one(history, at, is_delivery) else {
            return false;
        };
        let record = history.records[number].clone();
        let What::Deliver { room, seq, .. } = record.what else {
            return false;
        };
        let rewound = What::Rewound {
            room,
            seq: seq - 1,
            epoch: 9,
        };
        let (at, client) = (record.at, record.client);
        history.records.insert(
            number + 1,
            Record {
                at,
                client,
                what: rewound,
            },
        );
        // It is given again what it had, as it would be.
        history.records.insert(number + 2, record);
        true
    });
}

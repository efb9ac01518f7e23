//! What senders were told: kept where it was said to be (C1), after it was sent (C4), and said the
//! same way each time (C7).

use super::Rules;
use super::facts::{Answer, Event, Facts, Message};
use super::findings::{Findings, Violation};
use super::verdict::{Check, Kind};

pub(super) fn check(facts: &Facts<'_>, rules: &Rules, findings: &mut Findings<'_>) {
    let places = places(facts);
    for (message, place) in facts.messages.iter().zip(&places) {
        if facts.rooms.contains_key(&message.key.0) {
            kept(facts, message, *place, rules, findings);
            same(facts, message, findings);
        }
        sent_first(facts, message, findings);
    }
}

/// Where each message is at the end.
fn places<'a>(facts: &'a Facts<'_>) -> Vec<Option<&'a Event>> {
    let mut places = vec![None; facts.messages.len()];
    for event in facts.rooms.values().flat_map(|room| &room.events) {
        if let Some(place) = event.message.and_then(|message| places.get_mut(message)) {
            *place = Some(event);
        }
    }
    places
}

fn name(message: &Message) -> String {
    let (room, client, n) = message.key;
    format!("room {room}: message {n} of client {client}")
}

fn records(message: &Message, answer: &Answer) -> Vec<u32> {
    let sent = message.sent.map(|(_, record)| record);
    sent.into_iter().chain([answer.record]).collect()
}

/// What was acknowledged is there, at the place that was named last.
fn kept(
    facts: &Facts<'_>,
    message: &Message,
    place: Option<&Event>,
    rules: &Rules,
    findings: &mut Findings<'_>,
) {
    let last = facts.answers(message).last();
    let Some(answer) = message.durable.as_ref().or(last) else {
        return;
    };
    let level = if message.durable.is_some() {
        "archived"
    } else {
        "accepted"
    };
    let mut add = |check, kind, what: &str| {
        let violation = Violation {
            check,
            kind,
            count: 1,
            at: Some(answer.at),
            records: &records(message, answer),
        };
        findings.add(&violation, || {
            let (name, seq) = (name(message), answer.seq);
            format!("{name} was {level} as {seq} and is {what}")
        });
    };
    let may_move = message.durable.is_none() && facts.losses.after(answer.at);
    match place {
        None if may_move && !rules.clients_resend => {}
        None => add(Check::C1, Kind::Lost, "not there"),
        Some(event) if event.seq != answer.seq => {
            let check = if message.durable.is_some() {
                Check::C1
            } else {
                Check::C7
            };
            if !may_move {
                add(check, Kind::Divergent, &format!("at {}", event.seq));
            }
        }
        Some(event) if differ(event.epoch, answer.epoch) && !may_move => {
            let what = format!("of epoch {}, not {}", event.epoch, answer.epoch);
            add(Check::C7, Kind::Divergent, &what);
        }
        Some(_) => {}
    }
}

fn differ(one: u64, other: u64) -> bool {
    one != other && one != 0 && other != 0
}

/// Each answer as the one before, unless that was taken back in between, which cannot be once it
/// was in the archive.
fn same(facts: &Facts<'_>, message: &Message, findings: &mut Findings<'_>) {
    let mut durable = false;
    for pair in facts.answers(message).windows(2) {
        let [one, other] = pair else { continue };
        durable |= one.durable;
        let same = one.seq == other.seq && !differ(one.epoch, other.epoch);
        if same || (!durable && facts.losses.between(one.at, other.at)) {
            continue;
        }
        let violation = Violation {
            check: Check::C7,
            kind: Kind::Divergent,
            count: 1,
            at: Some(other.at),
            records: &[one.record, other.record],
        };
        findings.add(&violation, || {
            let (name, first, second) = (name(message), one.seq, other.seq);
            format!("{name} was answered with {first}, and later with {second}")
        });
    }
}

/// Nobody is answered before they ask.
fn sent_first(facts: &Facts<'_>, message: &Message, findings: &mut Findings<'_>) {
    let Some(answer) = facts.answers(message).first() else {
        return;
    };
    if message.sent.is_some_and(|(at, _)| at <= answer.at) {
        return;
    }
    let violation = Violation {
        check: Check::C4,
        kind: Kind::Ghost,
        count: 1,
        at: Some(answer.at),
        records: &records(message, answer),
    };
    findings.add(&violation, || {
        format!("{} was answered before it was sent", name(message))
    });
}

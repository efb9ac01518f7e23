//! What the rooms hold at the end: each message once (C2), no holes (C3), nothing that was not sent
//! (C4), the same through every gateway (C8).

use std::collections::BTreeSet;

use super::facts::{Facts, Room};
use super::findings::{Findings, Violation};
use super::history::{Final, History, NOBODY};
use super::verdict::{Check, Kind};

pub(super) fn check(history: &History, facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for (name, room) in &facts.rooms {
        sequences(*name, room, findings);
        once(*name, room, findings);
        sent(*name, room, facts, findings);
    }
    for last in &history.finals {
        if let Some(room) = facts.rooms.get(&last.room) {
            agree(last, room, findings);
        }
    }
    all_given(facts, findings);
}

fn violation(check: Check, kind: Kind) -> Violation<'static> {
    Violation {
        check,
        kind,
        count: 1,
        at: None,
        records: &[],
    }
}

/// 1, 2, 3 ...
fn sequences(name: u32, room: &Room, findings: &mut Findings<'_>) {
    let mut before = 0;
    for event in &room.events {
        if event.seq == before {
            let same = violation(Check::C2, Kind::Duplicated);
            findings.add(&same, || {
                format!("room {name}: two events at sequence {before}")
            });
        } else if event.seq != before + 1 {
            let count = event.seq - before - 1;
            let hole = Violation {
                count,
                ..violation(Check::C3, Kind::Lost)
            };
            findings.add(&hole, || {
                format!(
                    "room {name}: {count} sequences missing before {}",
                    event.seq
                )
            });
        }
        before = event.seq;
    }
}

/// No message twice.
fn once(name: u32, room: &Room, findings: &mut Findings<'_>) {
    let messages = room.events.iter().filter(|event| event.sender != NOBODY);
    let mut places: Vec<(u32, u64, u64)> = messages
        .map(|event| (event.sender, event.n, event.seq))
        .collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [(sender, n, first), (other, m, second)] = *pair
            && (sender, n) == (other, m)
            && first != second
        {
            findings.add(&violation(Check::C2, Kind::Duplicated), || {
                format!("room {name}: message {n} of client {sender} is at {first} and {second}")
            });
        }
    }
}

/// Nothing that was never sent, or that was refused for good.
fn sent(name: u32, room: &Room, facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for event in room.events.iter().filter(|event| event.sender != NOBODY) {
        let message = event.message.and_then(|place| facts.messages.get(place));
        let sent = message.filter(|message| message.sent.is_some());
        let why = match sent {
            None => "was never sent",
            Some(message) if message.is_denied() => "was refused",
            Some(_) => continue,
        };
        let records = sent.and_then(|message| message.sent);
        let records: Vec<u32> = records.iter().map(|(_, record)| *record).collect();
        let ghost = Violation {
            records: &records,
            ..violation(Check::C4, Kind::Ghost)
        };
        findings.add(&ghost, || {
            let (n, sender, seq) = (event.n, event.sender, event.seq);
            format!("room {name}: message {n} of client {sender} is at {seq} and {why}")
        });
    }
}

/// Each event as the longest history has it.
fn agree(last: &Final, room: &Room, findings: &mut Findings<'_>) {
    let name = last.room;
    let mut differ = |seq: u64| {
        findings.add(&violation(Check::C8, Kind::Divergent), || {
            let (one, other) = (last.gateway, room.gateway);
            format!("room {name}: gateways {one} and {other} differ at {seq}")
        });
    };
    let mut given: Vec<_> = last.events.iter().collect();
    given.sort_by_key(|event| event.0);
    for pair in 0..given.len().max(room.events.len()) {
        match (given.get(pair), room.events.get(pair)) {
            (Some((seq, epoch, sender, n)), Some(event)) => {
                let epochs = *epoch == event.epoch || *epoch == 0 || event.epoch == 0;
                if (*seq, *sender, *n) != (event.seq, event.sender, event.n) || !epochs {
                    differ(*seq);
                }
            }
            (Some((seq, ..)), None) => differ(*seq),
            (None, Some(event)) => differ(event.seq),
            (None, None) => {}
        }
    }
}

/// A room whose history nobody gave proves nothing.
fn all_given(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    let rooms: BTreeSet<u32> = facts.messages.iter().map(|message| message.key.0).collect();
    for room in rooms {
        if !facts.rooms.contains_key(&room) {
            findings.add(&violation(Check::C8, Kind::Divergent), || {
                format!("room {room}: no gateway gave its history")
            });
        }
    }
}

//! The order of messages in a room (C6): whoever was acknowledged before another was sent comes
//! first, and each sender's messages stand as they were sent.

use super::facts::{Answer, Event, Facts, Message, Room};
use super::findings::{Findings, Violation};
use super::verdict::{Check, Kind};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for (name, room) in &facts.rooms {
        acknowledged_first(*name, room, facts, findings);
        as_sent(*name, room, facts, findings);
    }
}

fn message<'a>(facts: &'a Facts<'_>, event: &Event) -> Option<&'a Message> {
    facts.messages.get(event.message?)
}

/// The answer that named the place where the message stayed: not one of a place that was lost,
/// even if the message came to the same sequence again.
fn lasting<'a>(facts: &'a Facts<'_>, event: &Event) -> Option<&'a Answer> {
    let answers = facts.answers(message(facts, event)?);
    let there = || answers.iter().filter(|answer| answer.seq == event.seq);
    let known = there().map(|answer| answer.epoch).max()?;
    let epoch = if event.epoch == 0 { known } else { event.epoch };
    if epoch == 0 && facts.losses.any() {
        return there().next_back();
    }
    there().find(|answer| answer.epoch == epoch)
}

/// From the end to the beginning: none may have been sent later than the first acknowledgement of
/// those behind it.
fn acknowledged_first(name: u32, room: &Room, facts: &Facts<'_>, findings: &mut Findings<'_>) {
    let mut first: Option<(&Answer, u64)> = None;
    for event in room.events.iter().rev() {
        let sent = message(facts, event).and_then(|message| message.sent);
        if let (Some((sent, record)), Some((answer, seq))) = (sent, first)
            && answer.at < sent
        {
            let violation = Violation {
                check: Check::C6,
                kind: Kind::Reordered,
                count: 1,
                at: Some(sent),
                records: &[answer.record, record],
            };
            findings.add(&violation, || {
                let behind = event.seq;
                format!("room {name}: {seq} was acknowledged before {behind} was sent")
            });
        }
        if let Some(answer) = lasting(facts, event)
            && first.is_none_or(|(earliest, _)| answer.at < earliest.at)
        {
            first = Some((answer, event.seq));
        }
    }
}

/// Each sender's messages in the order in which they were first sent, but for those that had to be
/// sent again because they were refused for the time being, or taken back.
fn as_sent(name: u32, room: &Room, facts: &Facts<'_>, findings: &mut Findings<'_>) {
    let mut sent: Vec<(u32, u64, u32, u64, bool)> = room
        .events
        .iter()
        .filter_map(|event| {
            let message = message(facts, event)?;
            let (at, record) = message.sent?;
            let late = may_be_late(facts, message);
            Some((event.sender, at, record, event.seq, late))
        })
        .collect();
    // Records of one time stand in the order in which they were written.
    sent.sort_unstable();
    for same in sent.chunk_by(|one, other| one.0 == other.0) {
        let mut top: Option<(u64, u32)> = None;
        for &(sender, at, record, seq, late) in same {
            if let Some((highest, earlier)) = top.filter(|(highest, _)| *highest > seq) {
                let violation = Violation {
                    check: Check::C6,
                    kind: Kind::Reordered,
                    count: 1,
                    at: Some(at),
                    records: &[earlier, record],
                };
                findings.add(&violation, || {
                    format!("room {name}: client {sender} sent {highest} before {seq}")
                });
            }
            if !late && top.is_none_or(|(highest, _)| seq > highest) {
                top = Some((seq, record));
            }
        }
    }
}

fn may_be_late(facts: &Facts<'_>, message: &Message) -> bool {
    let answers = facts.answers(message);
    let place = |answer: &Answer| (answer.seq, answer.epoch);
    let first = answers.first().map(place);
    let moved = answers.iter().any(|answer| Some(place(answer)) != first);
    message.put_off || moved || (message.sends > 1 && facts.losses.any())
}

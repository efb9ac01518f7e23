//! What clients were given: all of it, once, in order, as it is in the end (C5), nothing that was
//! not sent (C4), nothing of rooms that are not theirs (C10), and nothing taken back without a
//! reason (C11).

use std::collections::HashMap;

use super::Rules;
use super::facts::{Facts, Room};
use super::findings::{Findings, Violation};
use super::history::{NOBODY, Record, What};
use super::stream::{Begin, Fault, Membership, Stream};
use super::verdict::{Check, Kind};

/// How long after somebody has left they may be told what is no message, such as that they left.
const LEAVING: u64 = 5_000_000;

/// How long after somebody has left a loss may still take back what they were given. What is older
/// is in the archive.
const TAKING_BACK: u64 = 30_000_000;

pub(super) fn check(facts: &Facts<'_>, rules: &Rules, findings: &mut Findings<'_>) {
    let mut streams = Streams {
        facts,
        rules,
        findings,
        all: HashMap::new(),
        connected: HashMap::new(),
    };
    for (number, record) in (0..).zip(&facts.records) {
        streams.take(record, number);
    }
    streams.end();
}

struct Streams<'a, 'f, 'v> {
    facts: &'a Facts<'a>,
    rules: &'a Rules,
    findings: &'f mut Findings<'v>,
    /// By client and room.
    all: HashMap<(u32, u32), Stream>,
    connected: HashMap<u32, bool>,
}

impl Streams<'_, '_, '_> {
    fn take(&mut self, record: &Record, number: u32) {
        let client = record.client;
        let fault = match record.what {
            What::Deliver { room, seq, .. } if self.is_checked(room) => {
                self.theirs(record, number, room);
                self.was_sent(record, number);
                self.findings.extent().deliveries += 1;
                let fault = self.stream(client, room).deliver(seq, number);
                fault.map(|fault| (room, fault))
            }
            What::Subscribed {
                room,
                seq,
                epoch,
                since,
                recovered,
            } => {
                let begin = Begin {
                    seq,
                    epoch,
                    since,
                    recovered,
                };
                let fault = self.stream(client, room).begin(begin);
                let gap = since.is_some_and(|since| since < seq) && !recovered;
                self.findings.extent().gaps += u64::from(gap);
                fault.map(|fault| (room, fault))
            }
            What::Rewound { room, seq, epoch } => {
                Some((room, self.stream(client, room).rewind(seq, epoch)))
            }
            What::Entered { room } => {
                self.stream(client, room).member = Membership::Member;
                None
            }
            What::Left { room } => {
                self.stream(client, room).leave(record.at);
                None
            }
            What::Connected { .. } => {
                self.connected.insert(client, true);
                None
            }
            What::Disconnected { .. } => {
                self.connected.insert(client, false);
                None
            }
            _ => None,
        };
        if let Some((room, fault)) = fault {
            self.fault(record, number, room, fault);
        }
    }

    fn is_checked(&self, room: u32) -> bool {
        self.facts.rooms.contains_key(&room)
    }

    fn stream(&mut self, client: u32, room: u32) -> &mut Stream {
        self.all.entry((client, room)).or_default()
    }

    fn add(
        &mut self,
        (check, kind, count): (Check, Kind, u64),
        at: Option<u64>,
        records: &[u32],
        problem: impl FnOnce() -> String,
    ) {
        let violation = Violation {
            check,
            kind,
            count,
            at,
            records,
        };
        self.findings.add(&violation, problem);
    }

    fn fault(&mut self, record: &Record, number: u32, room: u32, fault: Fault) {
        let (client, at) = (record.client, Some(record.at));
        let who = || format!("client {client} in room {room}");
        match fault {
            Fault::Hole(from, to) => {
                let what = (Check::C5, Kind::Lost, to - from + 1);
                let problem = || format!("{} was not given {from} to {to}", who());
                self.add(what, at, &[number], problem);
            }
            // After a loss, what there is was told to be another history.
            Fault::Gap(from, to)
                if !self.rules.gaps_allowed && !self.facts.losses.before(record.at) =>
            {
                let what = (Check::C5, Kind::Lost, to - from + 1);
                let problem = || format!("{} was told to do without {from} to {to}", who());
                self.add(what, at, &[number], problem);
            }
            Fault::Gap(..) => {}
            Fault::Again(earlier) => {
                let same = self.is_same(earlier, number);
                let kind = if same {
                    Kind::Duplicated
                } else {
                    Kind::Divergent
                };
                let problem = || match same {
                    true => format!("{} was given an event twice", who()),
                    false => format!("{} was given two events at one sequence", who()),
                };
                self.add((Check::C5, kind, 1), at, &[earlier, number], problem);
            }
            Fault::Back(position) => {
                let problem = || format!("{} was given an event after {position}", who());
                self.add((Check::C5, Kind::Reordered, 1), at, &[number], problem);
            }
            Fault::TakenBack(before, to) => {
                self.findings.extent().rewinds += 1;
                self.findings.extent().taken_back += before.saturating_sub(to);
                if !self.facts.losses.before(record.at) {
                    let problem = || format!("{} was taken back from {before} to {to}", who());
                    self.add((Check::C11, Kind::Rewound, 1), at, &[number], problem);
                }
            }
        }
    }

    fn is_same(&self, one: u32, other: u32) -> bool {
        let content = |number| match self.facts.record(number)?.what {
            What::Deliver { sender, n, .. } => Some((sender, n)),
            _ => None,
        };
        content(one) == content(other)
    }

    /// Who is not in a room is given nothing of it, but what was under way when they left.
    fn theirs(&mut self, record: &Record, number: u32, room: u32) {
        let What::Deliver { sender, n, .. } = record.what else {
            return;
        };
        let foreign = match self.stream(record.client, room).member {
            Membership::Member => false,
            Membership::Never => true,
            Membership::Left(at) if sender == NOBODY => record.at > at + LEAVING,
            Membership::Left(left) => {
                let sent = self.facts.message((room, sender, n));
                let sent = sent.and_then(|message| message.sent);
                // A loss may have taken the leaving back, and then it is as if it never was.
                let stands = !self.facts.losses.between(left, record.at);
                stands && sent.is_none_or(|(at, _)| at > left)
            }
        };
        if foreign {
            let client = record.client;
            let what = (Check::C10, Kind::Ghost, 1);
            self.add(what, Some(record.at), &[number], || {
                format!("client {client} was given an event of room {room} and is no member")
            });
        }
    }

    /// Whatever is given was sent before.
    fn was_sent(&mut self, record: &Record, number: u32) {
        let What::Deliver {
            room,
            seq,
            sender,
            n,
            ..
        } = record.what
        else {
            return;
        };
        if sender == NOBODY {
            return;
        }
        // Almost always it is where the history says.
        let facts = self.facts;
        let event = facts.rooms.get(&room).and_then(|room| room.get(seq));
        let event = event.filter(|event| (event.sender, event.n) == (sender, n));
        let message = event.and_then(|event| facts.messages.get(event.message?));
        let message = message.or_else(|| facts.message((room, sender, n)));
        let sent = message.filter(|message| !message.is_denied());
        let sent = sent.and_then(|message| message.sent);
        if sent.is_none_or(|(at, _)| at > record.at) {
            let what = (Check::C4, Kind::Ghost, 1);
            self.add(what, Some(record.at), &[number], || {
                format!("room {room}: message {n} of client {sender} was given and not sent")
            });
        }
    }

    /// What stands of each stream is the room's history, up to its end.
    fn end(mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.all).into_iter().collect();
        all.sort_by_key(|(who, _)| *who);
        for ((client, room), stream) in all {
            if self.is_checked(room) {
                self.compare(client, room, &stream);
                self.tail(client, room, &stream);
            }
        }
    }

    fn compare(&mut self, client: u32, room: u32, stream: &Stream) {
        let facts = self.facts;
        let Some(events) = facts.rooms.get(&room) else {
            return;
        };
        let view = stream.view.iter().enumerate().skip(stream.doubtful);
        for (place, &(seq, number)) in view {
            let Some(record) = facts.record(number) else {
                continue;
            };
            // Who was gone when it was taken back could not be told.
            let left = stream.left_with(place).map(|at| at + TAKING_BACK);
            if left.is_some_and(|until| facts.losses.between(record.at, until)) {
                continue;
            }
            let What::Deliver { sender, n, .. } = record.what else {
                continue;
            };
            let event = events.get(seq);
            if event.is_some_and(|event| (event.sender, event.n) == (sender, n)) {
                continue;
            }
            let what = (Check::C5, Kind::Divergent, 1);
            self.add(what, Some(record.at), &[number], || match event {
                Some(event) => {
                    let (sender, n) = (event.sender, event.n);
                    format!(
                        "client {client} in room {room} was given another {seq} than message {n} \
                         of client {sender}, and never told"
                    )
                }
                None => {
                    format!("client {client} in room {room} was given {seq}, which is not there")
                }
            });
        }
    }

    fn tail(&mut self, client: u32, room: u32, stream: &Stream) {
        let facts = self.facts;
        let connected = self.connected.get(&client).copied().unwrap_or(false);
        let top = facts.rooms.get(&room).map_or(0, Room::top);
        let Some(position) = stream.position() else {
            return;
        };
        let missing = top.saturating_sub(position);
        if !connected || stream.member != Membership::Member || missing == 0 {
            return;
        }
        let told = stream.lacks() == missing;
        let excused = told && (self.rules.gaps_allowed || facts.losses.any());
        if self.rules.whole_tail && !excused {
            let what = (Check::C5, Kind::Lost, missing);
            self.add(what, facts.end(), &[], || {
                format!("client {client} in room {room} has {position} and was not given the rest, up to {top}")
            });
        }
    }
}

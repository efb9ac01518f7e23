//! A history put in order: records by time, messages with their answers, rooms with their events.

use std::collections::BTreeMap;
use std::ops::Range;

use super::history::{History, Level, NOBODY, Record, What};
use super::losses::Losses;

/// What a message is known by: room, sender, count.
pub(super) type Key = (u32, u32, u64);

/// Everything in a form that can be asked.
pub(super) struct Facts<'a> {
    /// By time.
    pub records: Vec<&'a Record>,
    /// By key, so that those of one sender in one room stand together.
    pub messages: Vec<Message>,
    answers: Vec<Answer>,
    /// Rooms of which somebody gave the final history.
    pub rooms: BTreeMap<u32, Room>,
    pub losses: Losses,
}

/// What its sender knows of a message.
#[derive(Debug)]
pub(super) struct Message {
    pub key: Key,
    /// When it was first sent, and the number of that record.
    pub sent: Option<(u64, u32)>,
    pub sends: u32,
    /// How often it was refused for good, and whether it ever was for the time being.
    denied: u32,
    pub put_off: bool,
    answers: Range<usize>,
    /// The first word that it is in the archive.
    pub durable: Option<Answer>,
}

impl Message {
    /// Whether no attempt at sending it can have been taken.
    pub fn is_denied(&self) -> bool {
        self.sends > 0 && self.denied >= self.sends && self.answers.is_empty()
    }
}

/// Where a message was said to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub at: u64,
    pub seq: u64,
    pub epoch: u64,
    pub durable: bool,
    /// The number of its record.
    pub record: u32,
}

/// A room's events as they were at the end, by sequence.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub gateway: u32,
    pub events: Vec<Event>,
}

/// An event of a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub seq: u64,
    pub epoch: u64,
    pub sender: u32,
    pub n: u64,
    /// The message, if it was ever sent.
    pub message: Option<usize>,
}

impl Room {
    pub fn get(&self, seq: u64) -> Option<&Event> {
        // Without holes it stands where its sequence says.
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        if let Some(event) = self.events.get(place).filter(|event| event.seq == seq) {
            return Some(event);
        }
        let place = self.events.binary_search_by_key(&seq, |event| event.seq);
        place.ok().and_then(|place| self.events.get(place))
    }

    pub fn top(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }
}

impl<'a> Facts<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut records: Vec<&Record> = history.records.iter().collect();
        records.sort_by_key(|record| record.at);
        let mut facts = Self {
            records,
            messages: Vec::new(),
            answers: Vec::new(),
            rooms: BTreeMap::new(),
            losses: Losses::of(&history.injections),
        };
        facts.take_messages();
        facts.take_rooms(history);
        facts
    }

    pub(super) fn record(&self, number: u32) -> Option<&'a Record> {
        self.records.get(usize::try_from(number).ok()?).copied()
    }

    /// When the last record was written.
    pub(super) fn end(&self) -> Option<u64> {
        self.records.last().map(|record| record.at)
    }

    pub(super) fn answers(&self, message: &Message) -> &[Answer] {
        self.answers
            .get(message.answers.clone())
            .unwrap_or_default()
    }

    pub(super) fn message(&self, key: Key) -> Option<&Message> {
        self.place(key).and_then(|place| self.messages.get(place))
    }

    fn place(&self, key: Key) -> Option<usize> {
        let by_key = |message: &Message| message.key;
        self.messages.binary_search_by_key(&key, by_key).ok()
    }

    fn take_messages(&mut self) {
        let mut mentions: Vec<(Key, u32)> = (0..)
            .zip(&self.records)
            .filter_map(|(number, record)| Some((key(record)?, number)))
            .collect();
        mentions.sort_unstable();
        for same in mentions.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((key, _)) = same.first() else {
                continue;
            };
            let begin = self.answers.len();
            let mut message = Message {
                key: *key,
                sent: None,
                sends: 0,
                denied: 0,
                put_off: false,
                answers: begin..begin,
                durable: None,
            };
            for (_, number) in same {
                if let Some(record) = self.record(*number) {
                    self.take(&mut message, record, *number);
                }
            }
            message.answers.end = self.answers.len();
            self.messages.push(message);
        }
    }

    fn take(&mut self, message: &mut Message, record: &Record, number: u32) {
        let answer = match record.what {
            What::Send { .. } => {
                message.sends += 1;
                message.sent = message.sent.or(Some((record.at, number)));
                return;
            }
            What::Refused { temporary, .. } => {
                message.put_off |= temporary;
                message.denied += u32::from(!temporary);
                return;
            }
            What::Accepted {
                seq, epoch, level, ..
            } => Answer {
                at: record.at,
                seq,
                epoch,
                durable: level == Level::Archived,
                record: number,
            },
            What::Durable { seq, epoch, .. } => Answer {
                at: record.at,
                seq,
                epoch,
                durable: true,
                record: number,
            },
            _ => return,
        };
        if answer.durable {
            message.durable = message.durable.or(Some(answer));
        }
        self.answers.push(answer);
    }

    /// What most was given of counts; that all agree is a check of its own.
    fn take_rooms(&mut self, history: &History) {
        let mut longest: BTreeMap<u32, _> = BTreeMap::new();
        for last in &history.finals {
            let best = longest.entry(last.room).or_insert(last);
            if last.events.len() > best.events.len() {
                *best = last;
            }
        }
        for (room, last) in longest {
            let mut events: Vec<Event> = last
                .events
                .iter()
                .map(|&(seq, epoch, sender, n)| Event {
                    seq,
                    epoch,
                    sender,
                    n,
                    message: (sender != NOBODY)
                        .then(|| self.place((room, sender, n)))
                        .flatten(),
                })
                .collect();
            events.sort_by_key(|event| event.seq);
            let gateway = last.gateway;
            self.rooms.insert(room, Room { gateway, events });
        }
    }
}

/// Which message of its client a record is of.
fn key(record: &Record) -> Option<Key> {
    match record.what {
        What::Send { room, n }
        | What::Accepted { room, n, .. }
        | What::Refused { room, n, .. }
        | What::Durable { room, n, .. } => Some((room, record.client, n)),
        _ => None,
    }
}

//! What was sent, and who has it.

use std::collections::VecDeque;

use anyhow::Result;

use crate::report::{Times, times};

/// How long a message may be under way before its sender goes on without it, in nanoseconds.
const PATIENCE: u64 = 5_000_000_000;

/// A message on its way.
#[derive(Debug, Clone, Copy)]
struct Message {
    /// When it was, or should have been, sent.
    due: u64,
    sender: u32,
    /// Members that do not have it yet.
    left: u32,
    acked: bool,
    /// Nobody waits for it any more.
    over: bool,
    measured: bool,
}

/// All messages of a run, and what is counted of them.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Who is to have each message.
    pub listeners: u32,
    rooms: usize,
    senders: usize,
    messages: Vec<Message>,
    /// Those that are looked after from here on are not older than [`PATIENCE`].
    looked_at: usize,
    /// By member and sender: the last message that came, plus one.
    last: Vec<u32>,
    come: Vec<Option<u64>>,
    pub ready: usize,
    /// Members whose message is over, once for each; they send again.
    pub free: VecDeque<u32>,
    pub measuring: bool,
    pub acks: Times,
    pub deliveries: Times,
    pub sent: u64,
    pub acked: u64,
    pub delivered: u64,
    pub doubled: u64,
    pub disordered: u64,
    pub holes: u64,
    pub refused: u64,
    /// Connections that ended, and other mishaps.
    pub errors: u64,
    /// Messages that somebody did not have after a long time.
    pub late: u64,
    /// What the first mishap was.
    pub complaint: Option<String>,
}

impl Ledger {
    pub fn new(rooms: usize, members: usize, senders: usize) -> Result<Self> {
        let all = rooms * members;
        Ok(Self {
            listeners: u32::try_from(members)?,
            rooms,
            senders,
            messages: Vec::with_capacity(1 << 20),
            looked_at: 0,
            last: vec![0; all * senders],
            come: vec![None; all],
            ready: 0,
            free: VecDeque::new(),
            measuring: false,
            acks: times()?,
            deliveries: times()?,
            sent: 0,
            acked: 0,
            delivered: 0,
            doubled: 0,
            disordered: 0,
            holes: 0,
            refused: 0,
            errors: 0,
            late: 0,
            complaint: None,
        })
    }

    /// A member is where it wants to be.
    pub fn come(&mut self, member: usize, now: u64) {
        if let Some(come @ None) = self.come.get_mut(member) {
            *come = Some(now);
            self.ready += 1;
        }
    }

    /// When each member came, if it has.
    pub fn comings(&self) -> &[Option<u64>] {
        &self.come
    }

    /// The number of the message that a member is about to send.
    pub fn send(&mut self, sender: usize, due: u64) -> u32 {
        self.sent += u64::from(self.measuring);
        self.messages.push(Message {
            due,
            sender: u32::try_from(sender).unwrap_or(u32::MAX),
            left: self.listeners,
            acked: false,
            over: false,
            measured: self.measuring,
        });
        u32::try_from(self.messages.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn acked(&mut self, id: u32, now: u64) {
        let Some(message) = self.messages.get_mut(id as usize) else {
            return;
        };
        if std::mem::replace(&mut message.acked, true) {
            return;
        }
        let took = now.saturating_sub(message.due) / 1000;
        if self.measuring {
            self.acked += 1;
            if message.measured {
                self.acks.saturating_record(took);
            }
        }
        if message.left == 0 {
            self.end(id);
        }
    }

    pub fn delivered(&mut self, member: usize, id: u32, now: u64) {
        let Some(message) = self.messages.get_mut(id as usize) else {
            return;
        };
        // Members of one room are so many apart, the senders first.
        let seat = message.sender as usize / self.rooms;
        let Some(last) = self.last.get_mut(member * self.senders + seat) else {
            return;
        };
        if id < *last {
            let is_same = id + 1 == *last;
            self.doubled += u64::from(is_same);
            self.disordered += u64::from(!is_same);
            return;
        }
        *last = id + 1;
        message.left = message.left.saturating_sub(1);
        let took = now.saturating_sub(message.due) / 1000;
        if self.measuring {
            self.delivered += 1;
            if message.measured {
                self.deliveries.saturating_record(took);
            }
        }
        if message.left == 0 && message.acked {
            self.end(id);
        }
    }

    pub fn refused(&mut self, id: u32, reason: &[u8]) {
        self.refused += 1;
        self.complain(reason);
        self.end(id);
    }

    pub fn wrong(&mut self, reason: &[u8]) {
        self.errors += 1;
        self.complain(reason);
    }

    fn complain(&mut self, reason: &[u8]) {
        let reason = reason.get(..300).unwrap_or(reason);
        let text = || String::from_utf8_lossy(reason).into_owned();
        self.complaint.get_or_insert_with(text);
    }

    fn end(&mut self, id: u32) {
        if let Some(message) = self.messages.get_mut(id as usize)
            && !std::mem::replace(&mut message.over, true)
        {
            self.free.push_back(message.sender);
        }
    }

    /// Lets senders go on whose messages are not complete after a long time.
    pub fn give_up(&mut self, now: u64) {
        while let Some(message) = self.messages.get(self.looked_at) {
            if !message.over {
                if now.saturating_sub(message.due) < PATIENCE {
                    return;
                }
                self.late += 1;
                self.end(u32::try_from(self.looked_at).unwrap_or(u32::MAX));
            }
            self.looked_at += 1;
        }
    }

    /// Messages that were not answered, or that some member does not have; and how many
    /// deliveries are missing.
    pub fn incomplete(&self) -> (u64, u64) {
        let open = |message: &&Message| !message.acked || message.left > 0;
        let open = self.messages.iter().filter(open);
        open.fold((0, 0), |(messages, missing), message| {
            (messages + 1, missing + u64::from(message.left))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rooms of three, two of whom send: members 0 and 2 send in room 0, 4 listens there.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2, 3, 2).unwrap();
        ledger.measuring = true;
        ledger
    }

    #[test]
    fn a_message_is_over_when_all_have_it_and_its_sender_knows() {
        let mut ledger = ledger();
        let id = ledger.send(0, 0);
        ledger.acked(id, 10_000);
        ledger.delivered(0, id, 20_000);
        ledger.delivered(2, id, 30_000);
        assert!(ledger.free.is_empty());
        assert_eq!(ledger.incomplete(), (1, 1));
        ledger.delivered(4, id, 40_000);
        assert_eq!(ledger.free, [0]);
        assert_eq!(ledger.incomplete(), (0, 0));
        assert_eq!((ledger.acked, ledger.delivered), (1, 3));
        assert_eq!(ledger.deliveries.max(), 40);
    }

    #[test]
    fn what_comes_again_or_too_late_is_counted_and_does_not_count() {
        let mut ledger = ledger();
        let first = ledger.send(0, 0);
        let other = ledger.send(2, 0);
        let second = ledger.send(0, 0);
        ledger.delivered(4, first, 1);
        ledger.delivered(4, first, 2);
        assert_eq!((ledger.doubled, ledger.disordered), (1, 0));
        ledger.delivered(4, second, 3);
        // Another sender's place is another matter.
        ledger.delivered(4, other, 4);
        assert_eq!((ledger.doubled, ledger.disordered), (1, 0));
        ledger.delivered(4, first, 5);
        assert_eq!((ledger.doubled, ledger.disordered), (1, 1));
        assert_eq!(ledger.delivered, 3);
    }

    #[test]
    fn who_waits_for_ever_goes_on_and_it_is_told() {
        let mut ledger = ledger();
        ledger.send(0, 0);
        ledger.send(2, PATIENCE);
        ledger.give_up(PATIENCE - 1);
        assert!(ledger.free.is_empty());
        ledger.give_up(PATIENCE + 1);
        assert_eq!((ledger.late, ledger.free.len()), (1, 1));
        ledger.refused(1, b"no");
        ledger.give_up(3 * PATIENCE);
        assert_eq!((ledger.late, ledger.refused), (1, 1));
        assert_eq!(ledger.complaint.as_deref(), Some("no"));
    }
}

//! The messages of one room, in the order in which they were written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chinwag_protocol::request::StreamPosition;

use crate::error::Error;
use crate::message::{Level, Receipt};
use crate::notice::Notice;
use crate::outbox::letter::{Letter, Stage};

/// What a server says that lacks the message before: `conflict`.
const CONFLICT: u32 = 409;
/// How often it is believed, one time after the other.
const LACKED_MOST: u8 = 8;
/// How often a server is asked whether a message is archived, before it counts as one that does
/// not know.
const CHECKS_MOST: u8 = 3;

/// The messages of one room.
#[derive(Debug)]
pub(super) struct Lane {
    pub letters: VecDeque<Letter>,
    /// The latest epoch that the room is known to have been in.
    epoch: Option<String>,
    /// What is archived, by the last word about it.
    mark: Option<StreamPosition>,
    /// Whether the server could not take a message. Those behind it wait as well.
    pub put_off: bool,
    /// When an acknowledged message will have waited too long.
    pub due: Instant,
    /// When the last one was sent.
    sent: Instant,
}

impl Lane {
    pub fn new(epoch: Option<&str>, now: Instant) -> Self {
        Self {
            letters: VecDeque::new(),
            epoch: epoch.filter(|epoch| !epoch.is_empty()).map(str::to_owned),
            mark: None,
            put_off: false,
            due: now,
            sent: now,
        }
    }

    /// The first message that has to go out, unless one is under way.
    pub fn send(&mut self, knows_order: bool, now: Instant) -> Option<(u64, Result<Bytes, Error>)> {
        if self.put_off || self.is_busy() {
            return None;
        }
        let waiting = |letter: &Letter| letter.stage == Stage::Waiting;
        let at = self.letters.iter().position(waiting)?;
        let after = at
            .checked_sub(1)
            .and_then(|before| self.letters.get(before));
        let after = after.map(|letter| letter.message.id.clone());
        let letter = self.letters.get_mut(at)?;
        let after = after.filter(|_| knows_order && letter.lacked < LACKED_MOST);
        (letter.stage, letter.doubted) = (Stage::UnderWay, false);
        letter.chained = after.is_some();
        letter.under.clone_from(&self.epoch);
        self.sent = now;
        Some((letter.ticket, letter.argument(after.as_deref())))
    }

    /// The server has answered for a message. `true` if it was asked in vain whether the message
    /// is archived, and that often enough.
    pub fn answered(
        &mut self,
        room: &Arc<str>,
        ticket: u64,
        receipt: Receipt,
        told: &mut Vec<Notice>,
    ) -> bool {
        let epoch = self.epoch.clone();
        let Some(letter) = self.under_way(ticket) else {
            return false;
        };
        let place = receipt.position();
        // What has come into doubt meanwhile is not, if it is in the epoch that raised the doubt.
        letter.stage = match letter.doubted && epoch.as_ref() != Some(&place.epoch) {
            true => Stage::Waiting,
            false => Stage::Accepted,
        };
        letter.proven.clone_from(&letter.under);
        let archived = receipt.durability == Level::Archived;
        if let Some(from) = letter.place.replace(place.clone())
            && from != place
        {
            let (room, id, to) = (Arc::clone(room), letter.message.id.clone(), place.clone());
            told.push(Notice::Moved { room, id, from, to });
        }
        letter.lacked = 0;
        let checked = std::mem::take(&mut letter.checking) && !archived;
        letter.checks = letter.checks.saturating_add(checked.into());
        let in_vain = letter.checks >= CHECKS_MOST;
        letter.acknowledge(receipt);
        if archived {
            told.extend(letter.settle(Level::Archived).map(Notice::Durable));
            self.marked(&place);
        }
        self.enter(&place.epoch);
        in_vain
    }

    /// The server refuses a message. `false` if all of this room wait.
    pub fn refused(
        &mut self,
        room: &Arc<str>,
        ticket: u64,
        error: &Error,
        told: &mut Vec<Notice>,
    ) -> bool {
        let Some(letter) = self.under_way(ticket) else {
            return true;
        };
        letter.stage = Stage::Waiting;
        if error.is_temporary() {
            self.put_off = true;
            return false;
        }
        if letter.chained && matches!(error, Error::Reply { code: CONFLICT, .. }) {
            letter.lacked += 1;
            // At once the first time: the server has just come to know, or it would have said so.
            self.put_off = letter.lacked > 1;
            self.doubt();
            return !self.put_off;
        }
        if !letter.is_unanswered() {
            let (room, id) = (Arc::clone(room), letter.message.id.clone());
            let error = error.clone();
            told.push(Notice::Unconfirmed { room, id, error });
        }
        letter.fail(error);
        true
    }

    /// The room is known to be in this epoch. `true` if that is news and puts messages in doubt.
    pub fn enter(&mut self, epoch: &str) -> bool {
        let known = self.epoch.as_deref();
        if epoch.is_empty()
            || known == Some(epoch)
            || known.is_some_and(|known| is_later(known, epoch))
        {
            return false;
        }
        self.epoch = Some(epoch.to_owned());
        for letter in &mut self.letters {
            let stands = |known: Option<&str>| known == Some(epoch);
            let place = letter.place.as_ref().map(|place| place.epoch.as_str());
            if !stands(place) && !stands(letter.proven.as_deref()) {
                doubt(letter);
            }
        }
        true
    }

    /// Everything that was acknowledged has to be found again.
    pub fn doubt(&mut self) {
        self.letters.iter_mut().for_each(doubt);
    }

    /// Everything up to here is archived.
    pub fn marked(&mut self, mark: &StreamPosition) {
        let newer = self.mark.as_ref().is_none_or(|known| {
            known.epoch != mark.epoch && !is_later(&known.epoch, &mark.epoch)
                || known.epoch == mark.epoch && known.offset < mark.offset
        });
        if newer {
            self.mark = Some(mark.clone());
        }
        self.enter(&mark.epoch);
    }

    /// The connection is gone.
    pub fn lost(&mut self) {
        self.put_off = false;
        for letter in &mut self.letters {
            letter.stage = Stage::Waiting;
            letter.checking = false;
        }
    }

    /// Whether an acknowledged message waits for word that it is durable, and nothing else is
    /// under way.
    pub fn is_waiting(&self) -> bool {
        let accepted = |letter: &Letter| letter.stage == Stage::Accepted;
        self.letters.front().is_some_and(accepted)
    }

    /// Asks for the first message once more.
    pub fn ask_first(&mut self) {
        if let Some(letter) = self.letters.front_mut() {
            (letter.stage, letter.checking) = (Stage::Waiting, true);
        }
    }

    /// Takes out what is settled, after settling what the mark allows: or, where the server knows
    /// no marks, what is acknowledged.
    pub fn take_settled(&mut self, markless: bool, told: &mut Vec<Notice>) -> Vec<Letter> {
        for letter in &mut self.letters {
            let archived = self
                .mark
                .as_ref()
                .is_some_and(|mark| is_archived(letter, mark));
            let level = match letter.stage {
                Stage::Settled => continue,
                _ if archived => Level::Archived,
                Stage::Accepted if markless => Level::Accepted,
                _ => continue,
            };
            told.extend(letter.settle(level).map(Notice::Durable));
        }
        let is_settled = |letter: &Letter| letter.stage == Stage::Settled;
        if !self.letters.iter().any(is_settled) {
            return Vec::new();
        }
        let letters = std::mem::take(&mut self.letters).into_iter();
        let (settled, kept): (Vec<_>, Vec<_>) = letters.partition(is_settled);
        self.letters = kept.into();
        settled
    }

    /// Whether a message has been under way since before `then`.
    pub fn is_stuck(&self, then: Instant) -> bool {
        self.sent <= then && self.is_busy()
    }

    /// When to look after it.
    pub fn due(&self, answer_patience: Duration) -> Option<Instant> {
        if self.is_busy() {
            Some(self.sent + answer_patience)
        } else {
            self.is_waiting().then_some(self.due)
        }
    }

    fn is_busy(&self) -> bool {
        let busy = |letter: &Letter| letter.stage == Stage::UnderWay;
        self.letters.iter().any(busy)
    }

    fn under_way(&mut self, ticket: u64) -> Option<&mut Letter> {
        let found =
            |letter: &&mut Letter| letter.ticket == ticket && letter.stage == Stage::UnderWay;
        self.letters.iter_mut().find(found)
    }
}

fn doubt(letter: &mut Letter) {
    match letter.stage {
        Stage::Accepted => letter.stage = Stage::Waiting,
        Stage::UnderWay => letter.doubted = true,
        Stage::Waiting | Stage::Settled => {}
    }
}

/// Whether a mark says that a message is archived: it counts in the epoch of the message's place,
/// and in a later one only if the server has seen the message in that one.
fn is_archived(letter: &Letter, mark: &StreamPosition) -> bool {
    letter.place.as_ref().is_some_and(|place| {
        let seen =
            letter.proven.as_deref() == Some(&mark.epoch) && is_later(&mark.epoch, &place.epoch);
        mark.offset >= place.offset && (mark.epoch == place.epoch || seen)
    })
}

/// Whether an epoch is later than another. Those of other servers than ours have no order.
fn is_later(one: &str, other: &str) -> bool {
    let number = |epoch: &str| epoch.parse::<u64>().ok();
    matches!((number(one), number(other)), (Some(one), Some(other)) if one > other)
}

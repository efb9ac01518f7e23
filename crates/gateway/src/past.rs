//! What came after a position, for a crowd: from the recent events of this process, or from one read
//! of the log that all share who ask for the same room meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chinwag_protocol::code::Refusal;
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::backend::Backend;
use crate::delivery::Delivery;
use crate::recent::Recent;
use crate::recover::Missed;

/// How much further back a read begins than was asked for: in a crowd, somebody is a little behind.
const BEFORE: u64 = 64;
/// Reads that were left before their end are looked for when there are so many.
const READS_MOST: usize = 1_024;

/// What the threads of a gateway share of the past.
#[derive(Debug)]
pub(crate) struct Past {
    pub recent: Recent,
    reads: Mutex<HashMap<RoomId, Begun>>,
}

/// What is asked of the past.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// After what (epoch 0: any).
    pub since: Position,
    /// Most events of the answer.
    pub most: usize,
    /// Where the room stands at least. An answer that was given before that is none.
    pub known: Position,
    /// Whether the archive has what the ring has no longer.
    pub archived: bool,
    /// What is longer ago is not remembered.
    pub age: Option<Duration>,
}

/// What came after a position.
#[derive(Debug, Clone)]
pub(crate) enum After {
    /// Where the room stands, and the first events after the position, without a hole.
    Events(Position, Vec<Arc<Delivery>>),
    /// The position is ahead of what survived, or not of this room's life. The room stands here.
    Rewind(Position),
}

impl After {
    /// Where the room stood when this was read.
    pub(crate) fn top(&self) -> Position {
        match self {
            Self::Events(top, _) | Self::Rewind(top) => *top,
        }
    }
}

type Read = BoxFuture<'static, Result<Arc<Page>, Refusal>>;

/// A read that is under way.
#[derive(Debug)]
struct Begun {
    question: Question,
    read: WeakShared<Read>,
}

/// What a read has brought.
struct Page {
    /// As it was asked.
    question: Question,
    after: After,
}

impl Past {
    pub(crate) fn new(recent: usize) -> Self {
        Self {
            recent: Recent::new(recent),
            reads: Mutex::default(),
        }
    }

    fn reads(&self) -> MutexGuard<'_, HashMap<RoomId, Begun>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// What came in a room after a position.
    pub(crate) async fn after(&self, room: &RoomId, question: Question) -> Result<After, Refusal> {
        let Question {
            since,
            most,
            known,
            age,
            ..
        } = question;
        if let Some((top, events)) = self.past.recent.after(room, since, most, known, age) {
            told("memory");
            return Ok(After::Events(top, events));
        }
        if let Some(read) = self.joined(room, &question)
            && let Some(after) = read.await?.answer(&question)
        {
            told("shared");
            return Ok(after);
        }
        told("log");
        if let Some(after) = self.begin(room, question).await?.answer(&question) {
            return Ok(after);
        }
        // The epoch has changed meanwhile: only an answer to exactly this question will do.
        let missed = self.missed(room, since, most, question.archived).await?;
        Ok(self.deliveries(room, missed))
    }

    /// A read under way that will answer a question.
    fn joined(&self, room: &RoomId, question: &Question) -> Option<Shared<Read>> {
        let reads = self.past.reads();
        let begun = reads.get(room)?;
        begun
            .question
            .covers(question)
            .then(|| begun.read.upgrade())?
    }

    /// Begins a read that others may join.
    fn begin(&self, room: &RoomId, question: Question) -> Shared<Read> {
        let (backend, id) = (self.clone(), room.clone());
        let read = async move {
            let page = backend.page(&id, question).await;
            let mut reads = backend.past.reads();
            if reads
                .get(&id)
                .is_some_and(|begun| begun.question.since == question.since)
            {
                reads.remove(&id);
            }
            page.map(Arc::new)
        };
        let read = read.boxed().shared();
        if let Some(weak) = read.downgrade() {
            let mut reads = self.past.reads();
            if reads.len() > READS_MOST {
                reads.retain(|_, begun| begun.read.upgrade().is_some());
            }
            reads.insert(
                room.clone(),
                Begun {
                    question,
                    read: weak,
                },
            );
        }
        read
    }

    async fn page(&self, room: &RoomId, question: Question) -> Result<Page, Refusal> {
        let Question {
            since,
            most,
            archived,
            ..
        } = question;
        let mut from = since;
        let mut limit = most;
        if question.is_current() {
            from.seq = since.seq.saturating_sub(BEFORE);
            limit += usize::try_from(since.seq - from.seq).unwrap_or(0);
        }
        let missed = self
            .missed_from(room, from, since.seq, limit, archived)
            .await?;
        let after = self.deliveries(room, missed);
        if let After::Events(top, events) = &after
            && events
                .last()
                .and_then(|last| last.position)
                .is_some_and(|last| last.seq == top.seq)
        {
            self.past.recent.learn(room, events, *top);
        }
        Ok(Page { question, after })
    }

    fn deliveries(&self, room: &RoomId, missed: Missed) -> After {
        match missed {
            Missed::Events(top, events) => {
                let kind = self.config.namespaces.kind(room);
                let heard = std::time::Instant::now();
                let delivery =
                    |event: &Event| Arc::new(Delivery::event(room.clone(), kind, event, heard));
                After::Events(top.position, events.iter().map(delivery).collect())
            }
            Missed::Rewind(top) => After::Rewind(top.position),
        }
    }
}

impl Question {
    /// Whether the position is of the epoch that the room is known to be in.
    fn is_current(&self) -> bool {
        self.since.epoch == 0 || self.since.epoch == self.known.epoch
    }

    /// Whether the answer to this is, or has in it, the answer to another.
    fn covers(&self, other: &Self) -> bool {
        let back = if self.is_current() { BEFORE } else { 0 };
        self.archived == other.archived
            && self.since.epoch == other.since.epoch
            && self.since.seq.saturating_sub(back) <= other.since.seq
            && self.most >= other.most
    }
}

impl Page {
    /// What of it answers a question; `None` if that is not in it.
    fn answer(&self, question: &Question) -> Option<After> {
        let since = question.since;
        let (top, events) = match &self.after {
            After::Events(top, events) => (top, events),
            After::Rewind(top) => return Some(After::Rewind(*top)),
        };
        let exact = self.question.since == since && !self.question.is_current();
        let holds = since.epoch == 0 || since.epoch == top.epoch;
        if !(exact || holds && since.seq <= top.seq) {
            return None;
        }
        let new = top.epoch > question.known.epoch
            || top.epoch == question.known.epoch && top.seq >= question.known.seq;
        let seq = |event: &Arc<Delivery>| event.position.map_or(0, |at| at.seq);
        let skipped = events.partition_point(|event| seq(event) <= since.seq);
        let later = events.get(skipped..)?;
        let whole = match later.first() {
            Some(first) => seq(first) == since.seq + 1,
            None => top.seq == since.seq,
        };
        // Another's limit may have cut it short.
        let enough =
            later.len() >= question.most || later.last().is_none_or(|last| seq(last) == top.seq);
        let most = later.len().min(question.most);
        (new && whole && enough)
            .then(|| After::Events(*top, later.iter().take(most).cloned().collect()))
    }
}

/// Counts where an answer came from.
fn told(source: &'static str) {
    metrics::counter!("chinwag_gateway_past_reads_total", "source" => source).increment(1);
}

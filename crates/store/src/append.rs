//! The one write path of messages: a batch of events into rooms of one partition, in one call.

use chinwag_protocol::ack::Ack;
use chinwag_protocol::event::{Content, Event};
use chinwag_protocol::id::{ClientId, MessageId, RoomId, UserId};
use chinwag_protocol::position::Position;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::partition::Partition;
use crate::record;
use crate::store::{DEDUPE_BUCKET_SECONDS, Store};
use crate::value::Fields;

/// How a room is written to and what is kept of it; from its namespace's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Only members may write, and the room must exist. Else anyone may, and it comes to be.
    pub members_only: bool,
    /// How many events its ring keeps (those not archived yet stay in any case).
    pub history_size: u32,
    /// How long its ring lives after the last event, in seconds; 0 is for ever.
    pub history_seconds: u32,
}

/// An event that wants a sequence.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Where to.
    pub room: RoomId,
    /// The room's rules.
    pub rules: Rules,
    /// Who sends it; nobody for the server API, which needs no membership.
    pub sender: Option<UserId>,
    /// The sender's name for it; the same name again gets the first one's answer.
    pub id: Option<MessageId>,
    /// Whether the archive was asked for the id, and does not have it.
    pub looked: bool,
    /// The sender's message in this room without which this one is not to be written.
    pub after: Option<MessageId>,
    counts: bool,
    tail: Vec<u8>,
}

impl Draft {
    /// A draft of `content`, encoded as it will be stored.
    #[must_use]
    pub fn new(
        room: RoomId,
        rules: Rules,
        sender: Option<UserId>,
        client: Option<&ClientId>,
        id: Option<MessageId>,
        content: &Content,
    ) -> Self {
        let tail = record::tail(sender.as_ref(), client, id.as_ref(), content);
        Self {
            room,
            rules,
            sender,
            id,
            looked: false,
            after: None,
            counts: content.counts(),
            tail,
        }
    }

    /// About how many bytes it adds to a batch.
    #[must_use]
    pub fn size(&self) -> usize {
        self.tail.len() + self.room.as_str().len() + 64
    }
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It has its place in the room.
    Written(Receipt),
    /// It had it already.
    Repeated(Receipt),
    /// Nothing: the sender is no member.
    Refused,
    /// Nothing: Redis knows no such room. The archive may.
    Missing,
    /// Nothing: the id may have been used so long ago that only the archive knows. Ask it, and try
    /// again with [`Draft::looked`] set.
    Look,
    /// Nothing: the id may have been used, and the archive is too far behind to be asked.
    Behind,
    /// Nothing: one before it in the room has to be looked for first. Try again behind that.
    Again,
    /// Nothing: the message that it follows is not there.
    Lacks,
    /// Nothing: the message that it follows may have been written so long ago that only the archive
    /// knows. Ask it, and try again without [`Draft::after`] if it has that one.
    LookBefore,
    /// Nothing: the time in the id is more than five minutes ahead of the server's.
    Future,
    /// Nothing: the room is of an earlier epoch, or unknown; reconcile it and try again.
    NeedReconcile {
        /// The epoch that is current.
        epoch: u64,
    },
}

/// The place and time that an event was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its place.
    pub position: Position,
    /// Its time, in milliseconds since 1970 by Redis's clock.
    pub time: u64,
    /// The room's count of messages with it.
    pub messages: u64,
    /// Whether the room was known to be archived up to it.
    pub archived: bool,
    /// How safe messages in the room are before they are acknowledged, if it has a rule of its own.
    pub room_ack: Option<Ack>,
}

impl Receipt {
    /// The receipt of an event that the archive has.
    #[must_use]
    pub fn of_archived(event: &Event) -> Self {
        Self {
            position: Position::new(event.epoch, event.seq),
            time: event.time,
            messages: event.messages,
            archived: true,
            room_ack: None,
        }
    }
}

/// A message that was written, by its sender's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Who sent it; nobody for the server API.
    pub sender: Option<UserId>,
    /// The name.
    pub id: MessageId,
    /// Its place.
    pub position: Position,
    /// Its time, in milliseconds since 1970.
    pub time: u64,
}

impl Store {
    /// Writes drafts, all of rooms of one partition, in their order. Answers in the same order.
    ///
    /// # Errors
    /// `NeedEpoch` if the server was restarted or replaced since the partition's epoch was
    /// installed; `Full` if memory or disk is; nothing was written then. After `Unavailable` the
    /// batch may have been written: send it again under the same ids.
    pub async fn append(&self, partition: Partition, drafts: &[Draft]) -> Result<Vec<Appended>> {
        match self.append_at(self.clock.now(), partition, drafts).await {
            // Our idea of the server's clock was wrong, or its dedupe bucket has just changed. It
            // says its time: servers of several have clocks of their own.
            Err(Error::Refused { problem, command }) => match clock_of(&problem) {
                Some(time) => self.append_at(time, partition, drafts).await,
                None => Err(Error::Refused { problem, command }),
            },
            answer => answer,
        }
    }

    async fn append_at(
        &self,
        time: u64,
        partition: Partition,
        drafts: &[Draft],
    ) -> Result<Vec<Appended>> {
        let bucket = time / 1000 / DEDUPE_BUCKET_SECONDS;
        let mut call = Call::new("append")
            .key(self.keys.epoch(partition))
            .key(self.keys.log(partition))
            .number(bucket)
            .number(DEDUPE_BUCKET_SECONDS);
        for run in drafts.chunk_by(|one, next| one.room == next.room) {
            call = self.with_room(call, bucket, run);
        }
        let answer = self.link.call(&call).await?;
        let mut fields = Fields::of("append", answer)?;
        drafts.iter().map(|_| appended(&mut fields)).collect()
    }

    /// Adds a run of drafts for one room to the call.
    fn with_room(&self, mut call: Call, bucket: u64, run: &[Draft]) -> Call {
        let Some(Draft { room, rules, .. }) = run.first() else {
            return call;
        };
        let keys = self.keys.room(room);
        call = call
            .key(keys.room)
            .key(keys.history)
            .key(keys.members)
            .key(keys.read)
            .key(self.keys.sent(room, bucket))
            .key(self.keys.sent(room, bucket.saturating_sub(1)))
            .key(keys.channel)
            .arg(room.as_str())
            .arg(if rules.members_only { "m" } else { "c" })
            .number(u64::from(rules.history_size))
            .number(u64::from(rules.history_seconds))
            .number(run.len() as u64);
        for draft in run {
            call = call
                .arg(draft.sender.as_ref().map_or("", UserId::as_str))
                .arg(draft.id.as_ref().map_or("", MessageId::as_str))
                .number(draft.id.as_ref().and_then(MessageId::time).unwrap_or(0))
                .number(u64::from(draft.looked) + 2 * u64::from(draft.after.is_some()))
                .number(u64::from(draft.counts))
                .arg(draft.tail.as_slice());
            if let Some(after) = &draft.after {
                let time = after.time().unwrap_or(0);
                call = call.arg(after.as_str()).number(time);
            }
        }
        call
    }

    /// Tells Redis of messages of a room that it has lost, so that they are recognised when they
    /// are sent again. What it knows of them itself stays.
    ///
    /// # Errors
    /// As every write.
    pub async fn remember(&self, room: &RoomId, sent: &[Remembered]) -> Result<()> {
        if sent.is_empty() {
            return Ok(());
        }
        let bucket = self.clock.now() / 1000 / DEDUPE_BUCKET_SECONDS;
        let key = self.keys.sent(room, bucket);
        let mut pipeline = redis::pipe();
        for one in sent {
            let sender = one.sender.as_ref().map_or("", UserId::as_str);
            let field = format!("{sender} {}", one.id);
            let Position { epoch, seq } = one.position;
            // Nobody knows the count of messages any more.
            let place = format!("{seq} {epoch} {} 0", one.time);
            pipeline.cmd("HSETNX").arg(&key).arg(field).arg(place);
        }
        let seconds = 2 * DEDUPE_BUCKET_SECONDS;
        pipeline.cmd("EXPIRE").arg(&key).arg(seconds).arg("NX");
        self.link.pipeline("remember", &pipeline).await.map(drop)
    }
}

fn appended(fields: &mut Fields) -> Result<Appended> {
    let status = fields.number()?;
    let (seq, epoch) = (fields.number()?, fields.number()?);
    let (time, messages) = (fields.number()?, fields.number()?);
    let (archived, level) = (fields.number()?, fields.number()?);
    let receipt = Receipt {
        position: Position::new(epoch, seq),
        time,
        messages,
        archived: seq <= archived,
        room_ack: ack_of(level),
    };
    match status {
        1 => Ok(Appended::Written(receipt)),
        2 => Ok(Appended::Repeated(receipt)),
        3 => Ok(Appended::NeedReconcile { epoch }),
        4 => Ok(Appended::Refused),
        5 => Ok(Appended::Missing),
        6 => Ok(Appended::Look),
        7 => Ok(Appended::Behind),
        8 => Ok(Appended::Future),
        9 => Ok(Appended::Again),
        10 => Ok(Appended::Lacks),
        11 => Ok(Appended::LookBefore),
        other => Err(Error::corrupt("append", format!("status {other}"))),
    }
}

/// The level that a room's hash names.
pub(crate) fn ack_of(number: u64) -> Option<Ack> {
    match number {
        1 => Some(Ack::Accepted),
        2 => Some(Ack::Replicated),
        3 => Some(Ack::Archived),
        _ => None,
    }
}

/// The number for a level in a room's hash.
pub(crate) fn ack_number(ack: Ack) -> u64 {
    match ack {
        Ack::Accepted => 1,
        Ack::Replicated => 2,
        Ack::Archived => 3,
    }
}

/// The time in a refusal because of it, in milliseconds since 1970.
fn clock_of(problem: &str) -> Option<u64> {
    let (_, time) = problem.split_once("CLOCK")?;
    let digits = time.chars().filter(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}

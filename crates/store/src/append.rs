//! The one write path of messages: a batch of events into rooms of one partition, in one call.

use chinwag_protocol::event::Content;
use chinwag_protocol::id::{ClientId, MessageId, RoomId, UserId};
use chinwag_protocol::position::Position;
use redis::Value;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::partition::Partition;
use crate::record;
use crate::store::{DEDUPE_BUCKET_SECONDS, Store};
use crate::value::{self, Fields};

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
    /// Nothing: the sender is no member, or there is no such room.
    Refused,
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
}

/// A message that was written, by its sender's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Who sent it; nobody for the server API.
    pub sender: Option<UserId>,
    /// The name.
    pub id: MessageId,
    /// The answer that it got. The count of messages may be 0 if nobody knows it any more.
    pub receipt: Receipt,
}

/// What is installed in a partition; the default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstalledEpoch {
    /// The run of Redis for which it was allocated.
    pub run_id: String,
    /// The epoch.
    pub epoch: u64,
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
                .number(u64::from(draft.counts))
                .arg(draft.tail.as_slice());
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
        for Remembered {
            sender,
            id,
            receipt,
        } in sent
        {
            let field = format!("{} {id}", sender.as_ref().map_or("", UserId::as_str));
            let Position { epoch, seq } = receipt.position;
            let place = format!("{seq} {epoch} {} {}", receipt.time, receipt.messages);
            pipeline.cmd("HSETNX").arg(&key).arg(field).arg(place);
        }
        let seconds = 2 * DEDUPE_BUCKET_SECONDS;
        pipeline.cmd("EXPIRE").arg(&key).arg(seconds).arg("NX");
        self.link.pipeline("remember", &pipeline).await.map(drop)
    }

    /// Makes an epoch that the archive allocated the current one of a partition.
    ///
    /// # Errors
    /// `Fenced` if a later one is installed already, `NeedEpoch` if the server was restarted
    /// again meanwhile.
    pub async fn install_epoch(
        &self,
        partition: Partition,
        epoch: u64,
        run_id: &str,
    ) -> Result<()> {
        let call = Call::new("install_epoch")
            .key(self.keys.epoch(partition))
            .number(epoch)
            .arg(run_id);
        self.link.call(&call).await.map(drop)
    }

    /// The epoch that is installed in a partition, 0 if none is. It may be of an earlier run.
    ///
    /// # Errors
    /// As every read.
    pub async fn epoch(&self, partition: Partition) -> Result<u64> {
        Ok(self.installed_epoch(partition).await?.epoch)
    }

    /// The epoch that is installed in a partition, and for which run of Redis.
    ///
    /// # Errors
    /// As every read.
    pub async fn installed_epoch(&self, partition: Partition) -> Result<InstalledEpoch> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys.epoch(partition))
            .arg(&["run", "epoch"]);
        let mut fields = Fields::of("epoch", self.link.query("epoch", &command).await?)?;
        match (fields.value()?, fields.value()?) {
            (_, Value::Nil) | (Value::Nil, _) => Ok(InstalledEpoch::default()),
            (run_id, epoch) => Ok(InstalledEpoch {
                run_id: value::text("epoch", run_id)?,
                epoch: value::number("epoch", &epoch)?,
            }),
        }
    }
}

/// The time in a refusal because of it, in milliseconds since 1970.
fn clock_of(problem: &str) -> Option<u64> {
    let (_, time) = problem.split_once("CLOCK")?;
    let digits = time.chars().filter(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}

fn appended(fields: &mut Fields) -> Result<Appended> {
    let status = fields.number()?;
    let (seq, epoch) = (fields.number()?, fields.number()?);
    let (time, messages) = (fields.number()?, fields.number()?);
    let receipt = Receipt {
        position: Position::new(epoch, seq),
        time,
        messages,
    };
    match status {
        1 => Ok(Appended::Written(receipt)),
        2 => Ok(Appended::Repeated(receipt)),
        3 => Ok(Appended::NeedReconcile { epoch }),
        4 => Ok(Appended::Refused),
        other => Err(Error::corrupt("append", format!("status {other}"))),
    }
}

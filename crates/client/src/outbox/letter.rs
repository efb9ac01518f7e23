//! One message of the outbox.

use bytes::Bytes;
use chinwag_protocol::request::StreamPosition;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::error::Error;
use crate::message::{Durable, Fate, Level, Message, Receipt, Sent};
use crate::request::Answer;

/// How far a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent, at first or again.
    Waiting,
    /// Sent, and not answered.
    UnderWay,
    /// Answered; the archive may not have it.
    Accepted,
    /// Nothing is left to do, and this is what became of it.
    Settled,
}

/// One message of the outbox.
#[derive(Debug)]
pub(super) struct Letter {
    pub ticket: u64,
    pub message: Message,
    pub bytes: usize,
    pub stage: Stage,
    /// Where the server said that it is.
    pub place: Option<StreamPosition>,
    /// The epoch that the room was known to be in when this was last sent.
    pub under: Option<String>,
    /// The same for when it was last answered: the message was there in that epoch too.
    pub proven: Option<String>,
    /// Whether it has come into doubt while it was under way.
    pub doubted: bool,
    /// How often the server, asked after a long wait, has called it no more than accepted.
    pub checks: u8,
    /// Whether it goes out because of a long wait.
    pub checking: bool,
    /// How often the server said that it lacks the message before this one.
    pub lacked: u8,
    /// Whether it went out with the name of the message before it.
    pub chained: bool,
    answer: Option<Answer<Sent>>,
    fate: watch::Sender<Fate>,
}

/// The argument of `message.send`.
#[derive(Serialize)]
struct Argument<'a> {
    room: &'a str,
    id: &'a str,
    body: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

impl Letter {
    pub fn new(ticket: u64, message: Message, bytes: usize, answer: Answer<Sent>) -> Self {
        Self {
            ticket,
            message,
            bytes,
            stage: Stage::Waiting,
            place: None,
            under: None,
            proven: None,
            doubted: false,
            checks: 0,
            checking: false,
            lacked: 0,
            chained: false,
            answer: Some(answer),
            fate: watch::Sender::new(None),
        }
    }

    /// What to send; `after` names the message that must be there before this one.
    pub fn argument(&self, after: Option<&str>) -> Result<Bytes, Error> {
        let malformed = |error: serde_json::Error| Error::Malformed(format!("body: {error}"));
        let message = &self.message;
        let argument = Argument {
            room: &message.room,
            id: &message.id,
            body: serde_json::from_slice(&message.body).map_err(malformed)?,
            // Who has the first answer does not wait for a better one.
            ack: message.ack.filter(|_| self.answer.is_some()),
            after,
        };
        Ok(serde_json::to_vec(&argument).map_err(malformed)?.into())
    }

    /// Whether somebody still waits for its first answer.
    pub fn is_unanswered(&self) -> bool {
        self.answer.is_some()
    }

    /// Gives the first answer; later ones go nowhere.
    pub fn acknowledge(&mut self, receipt: Receipt) {
        if let Some(answer) = self.answer.take() {
            let fate = self.fate.subscribe();
            drop(answer.send(Ok(Sent { receipt, fate })));
        }
    }

    /// It is as safe as it gets.
    pub fn settle(&mut self, level: Level) -> Option<Durable> {
        self.stage = Stage::Settled;
        let place = self.place.clone()?;
        let durable = Durable {
            room: self.message.room.clone(),
            id: self.message.id.clone(),
            seq: place.offset,
            epoch: place.epoch,
            level,
        };
        self.fate.send_replace(Some(Ok(durable.clone())));
        Some(durable)
    }

    /// It will not be sent any more.
    pub fn fail(&mut self, error: &Error) {
        self.stage = Stage::Settled;
        match self.answer.take() {
            Some(answer) => drop(answer.send(Err(error.clone()))),
            None => drop(self.fate.send_replace(Some(Err(error.clone())))),
        }
    }

    /// The client ends.
    pub fn end(mut self, error: &Error) {
        self.fail(error);
    }
}

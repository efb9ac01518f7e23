//! Messages: put in the outbox, sent, answered for, and found to be durable.

use std::sync::Arc;

use chinwag_protocol::command::Method;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::RpcRequest;

use crate::connection::unexpected;
use crate::error::Error;
use crate::message::{Message, Receipt, Sent};
use crate::request::Answer;
use crate::session::{Pending, Session};

impl Session {
    pub(super) fn message(&mut self, message: Message, answer: Answer<Sent>) {
        let room = self.rooms.get(message.room.as_str());
        let seen = room.and_then(|room| room.place.seen());
        let epoch = seen.map(|seen| seen.epoch.as_str());
        self.outbox.put(message, epoch, answer, self.now);
        self.send_letters();
    }

    /// Sends what may go out now, and tells what became of messages.
    pub(super) fn send_letters(&mut self) {
        while let Some(outgoing) = self.open.then(|| self.outbox.send(self.now)).flatten() {
            let (room, ticket) = (outgoing.room, outgoing.ticket);
            match outgoing.argument {
                Ok(data) => {
                    let method = "message.send".to_owned();
                    let method = Method::Rpc(RpcRequest { data, method });
                    self.ask(method, Pending::Message(room, ticket));
                }
                Err(error) => drop(self.outbox.refused(&room, ticket, &error)),
            }
        }
        self.notices.extend(self.outbox.told.drain(..));
    }

    pub(super) fn delivered(&mut self, room: &Arc<str>, ticket: u64, outcome: Outcome) {
        let receipt: Result<Receipt, Error> = match outcome {
            Outcome::Rpc(result) => serde_json::from_slice(&result.data)
                .map_err(|error| Error::Malformed(format!("message.send result: {error}"))),
            other => Err(unexpected(&other)),
        };
        match receipt {
            Ok(receipt) => {
                self.outbox.answered(room, ticket, receipt, self.now);
                self.send_letters();
            }
            Err(error) => self.not_delivered(room, ticket, &error),
        }
    }

    /// A message that may be taken later stays in the outbox.
    pub(super) fn not_delivered(&mut self, room: &Arc<str>, ticket: u64, error: &Error) {
        self.outbox.refused(room, ticket, error);
        self.send_letters();
    }
}

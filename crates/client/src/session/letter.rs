//! Messages: put in the outbox, sent, and answered for.

use chinwag_protocol::command::Method;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::RpcRequest;

use crate::connection::unexpected;
use crate::error::Error;
use crate::outbox::Letter;
use crate::request::{Answer, Sent};
use crate::session::{Pending, Session};

impl Session {
    pub(super) fn message(&mut self, letter: Letter, answer: Answer<Sent>) {
        match self.outbox.put(letter, answer) {
            Ok(()) if self.open && !self.letters_put_off => self.send_letters(),
            Ok(()) => {}
            Err(answer) => drop(answer.send(Err(Error::Full))),
        }
    }

    pub(super) fn send_letters(&mut self) {
        while let Some((ticket, argument)) = self.outbox.send() {
            match argument {
                Ok(data) => {
                    let method = "message.send".to_owned();
                    let method = Method::Rpc(RpcRequest { data, method });
                    self.ask(method, Pending::Message(ticket));
                }
                Err(error) => self.answer_letter(ticket, Err(error)),
            }
        }
    }

    pub(super) fn delivered(&mut self, ticket: u64, outcome: Outcome) {
        let sent = match outcome {
            Outcome::Rpc(result) => serde_json::from_slice(&result.data)
                .map_err(|error| Error::Malformed(format!("message.send result: {error}"))),
            other => Err(unexpected(&other)),
        };
        self.answer_letter(ticket, sent);
    }

    /// A message that may be taken later stays in the outbox.
    pub(super) fn not_delivered(&mut self, ticket: u64, error: Error) {
        if let Error::Reply {
            temporary: true, ..
        } = error
        {
            self.outbox.put_back(ticket);
            self.letters_put_off = true;
        } else {
            self.answer_letter(ticket, Err(error));
        }
    }

    fn answer_letter(&mut self, ticket: u64, result: Result<Sent, Error>) {
        if let Some(answer) = self.outbox.take(ticket) {
            drop(answer.send(result));
        }
    }
}

//! Messages that are not acknowledged yet. They go out again, under the same ids, on each new
//! connection, until the server has answered for every one: it recognises what it has.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Where to.
    pub room: String,
    /// The sender's name for it: what makes sending twice harmless.
    pub id: String,
    /// What it says (JSON).
    pub body: Bytes,
}

impl Letter {
    /// The argument of `message.send`.
    pub fn argument(&self) -> Result<Bytes, Error> {
        #[derive(Serialize)]
        struct Argument<'a> {
            room: &'a str,
            id: &'a str,
            body: &'a RawValue,
        }
        let malformed = |error: serde_json::Error| Error::Malformed(format!("body: {error}"));
        let argument = Argument {
            room: &self.room,
            id: &self.id,
            body: serde_json::from_slice(&self.body).map_err(malformed)?,
        };
        Ok(serde_json::to_vec(&argument).map_err(malformed)?.into())
    }
}

/// The letters in the order in which they were written, each with what its sender waits on.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    letters: BTreeMap<u64, (Letter, T)>,
    /// Tickets of those that have not been sent on this connection.
    unsent: BTreeSet<u64>,
    next: u64,
    most: usize,
}

impl<T> Outbox<T> {
    pub fn new(most: usize) -> Self {
        Self {
            letters: BTreeMap::new(),
            unsent: BTreeSet::new(),
            next: 0,
            most,
        }
    }

    /// Takes a letter, or gives back what its sender waits on if there is no room.
    pub fn put(&mut self, letter: Letter, waiting: T) -> Result<(), T> {
        if self.letters.len() >= self.most {
            return Err(waiting);
        }
        self.next += 1;
        self.letters.insert(self.next, (letter, waiting));
        self.unsent.insert(self.next);
        Ok(())
    }

    /// The argument for the next letter that has not been sent on this connection, with its
    /// ticket; the letter counts as sent from now on.
    pub fn send(&mut self) -> Option<(u64, Result<Bytes, Error>)> {
        let ticket = self.unsent.pop_first()?;
        let (letter, _) = self.letters.get(&ticket)?;
        Some((ticket, letter.argument()))
    }

    /// Removes an answered letter and gives what its sender waits on.
    pub fn take(&mut self, ticket: u64) -> Option<T> {
        self.unsent.remove(&ticket);
        self.letters.remove(&ticket).map(|(_, waiting)| waiting)
    }

    /// The server could not take this letter now.
    pub fn put_back(&mut self, ticket: u64) {
        if self.letters.contains_key(&ticket) {
            self.unsent.insert(ticket);
        }
    }

    /// The connection is gone, and with it the answers: everything has to go out again.
    pub fn put_all_back(&mut self) {
        self.unsent.extend(self.letters.keys());
    }

    /// Empties it, for the end.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.unsent.clear();
        std::mem::take(&mut self.letters)
            .into_values()
            .map(|(_, waiting)| waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str) -> Letter {
        Letter {
            room: "room:a".to_owned(),
            id: id.to_owned(),
            body: Bytes::from_static(br#"{"text": "hi"}"#),
        }
    }

    fn sent<T>(outbox: &mut Outbox<T>) -> Vec<u64> {
        std::iter::from_fn(|| outbox.send().map(|(ticket, _)| ticket)).collect()
    }

    #[test]
    fn unanswered_letters_go_out_again_in_order_under_the_same_ids() {
        let mut outbox = Outbox::new(3);
        for id in ["a", "b", "c"] {
            outbox.put(letter(id), id).unwrap();
        }
        assert_eq!(sent(&mut outbox), [1, 2, 3]);
        assert!(sent(&mut outbox).is_empty());
        assert_eq!(outbox.take(2), Some("b"));
        assert_eq!(outbox.take(2), None);
        outbox.put_all_back();
        assert_eq!(sent(&mut outbox), [1, 3]);
        outbox.put_back(1);
        outbox.put_back(2);
        assert_eq!(sent(&mut outbox), [1]);
    }

    #[test]
    fn a_full_outbox_refuses() {
        let mut outbox = Outbox::new(1);
        outbox.put(letter("a"), 1).unwrap();
        assert_eq!(outbox.put(letter("b"), 2), Err(2));
    }

    #[test]
    fn the_argument_keeps_the_body_to_the_letter() {
        assert_eq!(
            letter("m-1").argument().unwrap(),
            r#"{"room":"room:a","id":"m-1","body":{"text": "hi"}}"#
        );
        let mut bad = letter("m-1");
        bad.body = Bytes::from_static(b"{");
        assert!(bad.argument().is_err());
    }
}

//! What a server speaks over its WebSocket.

use super::frame::{self, Kind};
use super::ledger::Ledger;

/// How members join, send and hear. There is one for each kind of server that is measured.
///
/// Members are numbered: member `n` is in room `n % rooms`, so that neighbours of a room connect
/// one after the other, and to servers in turn.
pub trait Dialect {
    /// Where the WebSocket is.
    fn path(&self) -> &str;

    /// Which subprotocol to ask for.
    fn subprotocol(&self) -> Option<&str> {
        None
    }

    /// A member's WebSocket is open.
    fn opened(&mut self, heard: &mut Heard<'_>);

    /// A member sends a message. The text has its number in it, by which it is known again.
    fn send(&mut self, id: u32, text: &str, heard: &mut Heard<'_>);

    /// A frame has come for a member.
    fn frame(&mut self, payload: &[u8], heard: &mut Heard<'_>);
}

/// One member's side of things while something happens to it.
pub struct Heard<'a> {
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) out: &'a mut Vec<u8>,
    /// Nanoseconds since the engine began.
    pub(crate) now: u64,
    /// The number of the member.
    pub member: usize,
}

impl Heard<'_> {
    /// Says something in a text frame.
    pub fn say(&mut self, payload: &[u8]) {
        frame::put(self.out, Kind::Text, payload);
    }

    /// Says something in a binary frame.
    pub fn say_binary(&mut self, payload: &[u8]) {
        frame::put(self.out, Kind::Binary, payload);
    }

    /// The member is where it wants to be.
    pub fn come(&mut self) {
        self.ledger.come(self.member, self.now);
    }

    /// A message of the member's was answered.
    pub fn acked(&mut self, id: u32) {
        self.ledger.acked(id, self.now);
    }

    /// A message of the member's was refused.
    pub fn refused(&mut self, id: u32, reason: &[u8]) {
        self.ledger.refused(id, reason);
    }

    /// A message has come.
    pub fn delivered(&mut self, id: u32) {
        self.ledger.delivered(self.member, id, self.now);
    }

    /// Events of a room were passed over.
    pub fn passed_over(&mut self, events: u64) {
        self.ledger.holes += events;
    }

    /// Something went wrong that is nobody's message.
    pub fn wrong(&mut self, reason: &[u8]) {
        self.ledger.wrong(reason);
    }

    /// Finds the numbers of messages in what was received, wherever their texts stand in it.
    /// Whether there was any.
    pub fn texts(&mut self, payload: &[u8]) -> bool {
        let mut rest = payload;
        let mut any = false;
        while let Some(at) = memchr::memmem::find(rest, b"@@") {
            rest = rest.get(at + 2..).unwrap_or_default();
            if let Some(id) = number(rest) {
                self.delivered(id);
                any = true;
                rest = rest.get(8..).unwrap_or_default();
            }
        }
        any
    }
}

/// The text of a message: its number, and as many letters as are missing.
pub(crate) fn text(id: u32, bytes: usize, to: &mut String) {
    use std::fmt::Write;
    to.clear();
    // Writing to a string cannot fail.
    let _ = write!(to, "@@{id:08x}@");
    let letters = ('a'..='z').cycle();
    to.extend(letters.take(bytes.saturating_sub(to.len())));
}

/// A message's number, from eight hexadecimal digits.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u32> {
    let digits: &[u8; 8] = digits.first_chunk()?;
    digits.iter().try_fold(0, |number: u32, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_its_number() {
        let mut some = String::new();
        text(0xab_cd01, 100, &mut some);
        assert_eq!(some.len(), 100);
        assert_eq!(number(&some.as_bytes()[2..]), Some(0xab_cd01));
        assert_eq!(number(b"0000000"), None);
        assert_eq!(number(b"0000000g"), None);
    }
}

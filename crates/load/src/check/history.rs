//! What is written down of a run: one clock, and everything that clients did and saw.
//!
//! A history is a file of JSON lines, each a [`Line`]. Clients and rooms are small numbers of the
//! run; a message is its room, its sender (a client) and the sender's count `n`, and its body
//! carries both.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// Stands in the place of a sender for what is not a message: somebody joined, the room was named.
pub const NOBODY: u32 = u32::MAX;

/// Something that one client did or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the run began; the same clock for all clients.
    pub at: u64,
    /// Who.
    pub client: u32,
    /// What.
    pub what: What,
}

/// What a client can do or see. Epochs are numbers; 0 where it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Asks for the message (this client, `n`) to be sent; once more each time it asks again.
    /// Written before the first byte leaves.
    Send {
        /// Where to.
        room: u32,
        /// Which.
        n: u64,
    },
    /// Got the answer that the message is taken.
    Accepted {
        /// Where to.
        room: u32,
        /// Which.
        n: u64,
        /// Its place.
        seq: u64,
        /// The epoch of that place.
        epoch: u64,
        /// How safe it is.
        level: Level,
        /// Whether the server says that it had it already.
        duplicate: bool,
    },
    /// Got the answer that the message is not taken.
    Refused {
        /// Where to.
        room: u32,
        /// Which.
        n: u64,
        /// The code of the answer.
        code: u32,
        /// Whether sending again may help: then it is not known whether it was taken.
        temporary: bool,
    },
    /// Learned that its message is in the archive, by an answer or by a mark of the room.
    Durable {
        /// Where.
        room: u32,
        /// Which.
        n: u64,
        /// Its place.
        seq: u64,
        /// The epoch of that place.
        epoch: u64,
    },
    /// Was given an event of a room, live or among those missed, as an application is: without
    /// what the client's library drops as seen already. Every event that has a seq is written
    /// down; one that is not a message has the sender [`NOBODY`].
    Deliver {
        /// Where.
        room: u32,
        /// Its place.
        seq: u64,
        /// The epoch of that place.
        epoch: u64,
        /// Whose message, from the body.
        sender: u32,
        /// Which of the sender's, from the body.
        n: u64,
    },
    /// Got the answer to subscribing, also as part of connecting. Events that were missed follow
    /// as [`What::Deliver`].
    Subscribed {
        /// To which room.
        room: u32,
        /// The room's top in the answer.
        seq: u64,
        /// The epoch of that place.
        epoch: u64,
        /// Where the client said that it stood; none if it begins anew, behind `seq`.
        since: Option<u64>,
        /// Whether all since then follows. If not, the stream goes on behind `seq`.
        recovered: bool,
    },
    /// Was told that what it saw behind `seq` is no more. The stream goes on behind `seq`.
    Rewound {
        /// Which room.
        room: u32,
        /// The last event that stands.
        seq: u64,
        /// The new epoch.
        epoch: u64,
    },
    /// Has a session.
    Connected {
        /// Through which gateway.
        gateway: u32,
        /// As whom: the number that [`What::Saw`] speaks of. Several clients may be one user.
        user: u32,
    },
    /// Has it no more.
    Disconnected {
        /// The close code; 0 if there was none.
        code: u32,
    },
    /// Was told of somebody's presence.
    Saw {
        /// Whose.
        user: u32,
        /// Which.
        online: bool,
    },
    /// Is to be a member of the room: written before it is asked for.
    Entered {
        /// Which room.
        room: u32,
    },
    /// Is a member no more: written when the answer has come.
    Left {
        /// Which room.
        room: u32,
    },
}

/// How safe an accepted message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// In Redis.
    Accepted,
    /// In as many copies of it as are asked for.
    Replicated,
    /// In the archive.
    Archived,
}

/// A fault that was made on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// When it began, in microseconds since the run began.
    pub at: u64,
    /// When it was over, as far as whoever made it is concerned.
    pub until: u64,
    /// What was done: the name of the kind, the same for all of that kind.
    pub fault: String,
    /// To whom.
    pub target: String,
    /// Whether Redis may have lost a tail by it.
    pub takes_back: bool,
    /// How long after `at` everything worked again; none if it never did.
    pub recovered: Option<u64>,
}

/// A room's whole history, as one gateway gives it when all is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Final {
    /// Which gateway.
    pub gateway: u32,
    /// Which room.
    pub room: u32,
    /// All events in the order given: seq, epoch (0 if not told), sender ([`NOBODY`] for what is
    /// no message), n.
    pub events: Vec<(u64, u64, u32, u64)>,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Of a client.
    Record(Record),
    /// Of whoever makes faults.
    Injection(Injection),
    /// Of the end.
    Final(Final),
}

/// Everything that is known of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Of all clients, in any order; those of one client in theirs.
    pub records: Vec<Record>,
    /// All faults.
    pub injections: Vec<Injection>,
    /// Each room from at least one gateway. Rooms that are not here are not checked.
    pub finals: Vec<Final>,
}

impl History {
    /// Takes a line in.
    pub fn push(&mut self, line: Line) {
        match line {
            Line::Record(record) => self.records.push(record),
            Line::Injection(injection) => self.injections.push(injection),
            Line::Final(last) => self.finals.push(last),
        }
    }

    /// Reads JSON lines.
    ///
    /// # Errors
    /// Names the first line that is none of a history.
    pub fn read(lines: impl BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for (number, line) in lines.lines().enumerate() {
            let line = serde_json::from_str(&line?).map_err(|error| {
                let problem = format!("line {} of the history: {error}", number + 1);
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?;
            history.push(line);
        }
        Ok(history)
    }

    /// Writes JSON lines.
    ///
    /// # Errors
    /// Of the writer.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let records = self.records.iter().cloned().map(Line::Record);
        let injections = self.injections.iter().cloned().map(Line::Injection);
        let finals = self.finals.iter().cloned().map(Line::Final);
        for line in records.chain(injections).chain(finals) {
            serde_json::to_writer(&mut to, &line)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_back_as_it_was_written() {
        let send = What::Send { room: 1, n: 2 };
        let record = |at, what| Record {
            at,
            client: 7,
            what,
        };
        let seen = What::Subscribed {
            room: 1,
            seq: 9,
            epoch: 0,
            since: None,
            recovered: false,
        };
        let history = History {
            records: vec![record(1, send), record(2, seen)],
            injections: vec![Injection {
                at: 1,
                until: 2,
                fault: "kill".to_owned(),
                target: "redis".to_owned(),
                takes_back: true,
                recovered: Some(3),
            }],
            finals: vec![Final {
                gateway: 0,
                room: 1,
                events: vec![(1, 1, NOBODY, 0), (2, 1, 7, 2)],
            }],
        };
        let mut text = Vec::new();
        history.write(&mut text).unwrap();
        let first = text.split(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(
            std::str::from_utf8(first).unwrap(),
            r#"{"record":{"at":1,"client":7,"what":{"send":{"room":1,"n":2}}}}"#
        );
        assert_eq!(History::read(text.as_slice()).unwrap(), history);
    }

    #[test]
    fn a_line_of_something_else_is_named() {
        let error = History::read(&b"{\"record\":1}\n"[..]).unwrap_err();
        assert!(error.to_string().starts_with("line 1 of the history"));
    }
}

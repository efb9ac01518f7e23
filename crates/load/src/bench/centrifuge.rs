//! What chinwag speaks: Centrifuge's protocol in JSON, one message a line.

use std::collections::BTreeMap;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::dialect::{Dialect, Heard};
use super::setup::Cast;

/// The first command's number; messages have those behind it.
const CONNECT: u32 = 1;
/// Where in an event its sequence stands: near its end.
const TAIL: usize = 96;

/// Messages of a page.
pub(crate) const PAGE: u64 = 50;

/// What members do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// They send, and hear.
    Send,
    /// They come back to where they were.
    Resume,
    /// They read pages of their rooms' histories.
    Read,
}

/// Members of one room each, with what they have seen of it.
pub(crate) struct Centrifuge {
    pub task: Task,
    /// By member: messages that were missed and told when it came back.
    pub recovered: Vec<usize>,
    /// By member: the epoch of what it has seen.
    epochs: Vec<String>,
    /// By member.
    tokens: Vec<String>,
    /// By room.
    rooms: Vec<String>,
    /// By member: the last sequence; 0 before the first.
    pub seen: Vec<u64>,
    mark: Finder<'static>,
    offset: Finder<'static>,
    seq: Finder<'static>,
    command: String,
}

impl Centrifuge {
    pub fn new(cast: &Cast) -> Self {
        Self {
            task: Task::Send,
            recovered: vec![0; cast.tokens.len()],
            epochs: vec![String::new(); cast.tokens.len()],
            tokens: cast.tokens.clone(),
            rooms: cast.rooms.clone(),
            seen: vec![0; cast.tokens.len()],
            mark: Finder::new("@@"),
            offset: Finder::new("\"offset\":"),
            seq: Finder::new("\"seq\":"),
            command: String::new(),
        }
    }

    /// Members who only listen, each to any number of rooms.
    pub fn listening(tokens: Vec<String>) -> Self {
        Self::new(&Cast {
            tokens,
            rooms: Vec::new(),
            members: 1,
            each: 1,
        })
    }

    /// A member has come, and is told where its room stands.
    fn come(&mut self, line: &[u8], heard: &mut Heard<'_>) {
        heard.come();
        if self.rooms.is_empty() {
            return;
        }
        if self.task == Task::Resume {
            let told = self.mark.find_iter(line).count();
            if let Some(recovered) = self.recovered.get_mut(heard.member) {
                *recovered += told;
            }
            return;
        }
        let Some((epoch, offset)) = stand(line, self.room(heard.member)) else {
            return heard.wrong(line);
        };
        let seen = self.seen.get_mut(heard.member);
        if let Some(places) = seen.zip(self.epochs.get_mut(heard.member)) {
            (*places.0, *places.1) = (offset, epoch);
        }
    }

    fn room(&self, member: usize) -> &str {
        let room = member % self.rooms.len().max(1);
        self.rooms.get(room).map_or("", String::as_str)
    }

    fn push(&mut self, line: &[u8], heard: &mut Heard<'_>) {
        if line.starts_with(br##"{"push":{"channel":"#"##) {
            // The user's own channel.
            return;
        }
        let tail = line.get(line.len().saturating_sub(TAIL)..).unwrap_or(line);
        let at = self.offset.find(tail);
        if let Some((at, seen)) = at.zip(self.seen.get_mut(heard.member)) {
            let digits = tail.get(at + self.offset.needle().len()..);
            let offset = leading(digits.unwrap_or_default());
            if !self.rooms.is_empty() && offset > *seen + 1 {
                heard.passed_over(offset - *seen - 1);
            }
            *seen = offset.max(*seen);
        }
        if let Some(at) = self.mark.find(line)
            && let Some(id) = super::dialect::number(line.get(at + 2..).unwrap_or_default())
        {
            heard.delivered(id);
        }
    }

    fn reply(&mut self, line: &[u8], heard: &mut Heard<'_>) {
        let digits = line.get(6..).unwrap_or_default();
        let command = u32::try_from(leading(digits)).unwrap_or(0);
        let head = digits.get(..24).unwrap_or(digits);
        let failed = memchr::memmem::find(head, b"\"error\"").is_some();
        match (command, failed) {
            (CONNECT, false) => self.come(line, heard),
            (CONNECT, true) => heard.wrong(line),
            (message, false) => {
                if self.task == Task::Read {
                    // Each event has one, and the page.
                    let events = self.seq.find_iter(line).count();
                    let events = u64::try_from(events).unwrap_or(0);
                    heard.passed_over((PAGE + 1).saturating_sub(events));
                }
                heard.acked(message.saturating_sub(CONNECT + 1));
            }
            (message, true) => heard.refused(message.saturating_sub(CONNECT + 1), line),
        }
    }
}

impl Dialect for Centrifuge {
    fn path(&self) -> &str {
        "/connection/websocket"
    }

    fn opened(&mut self, heard: &mut Heard<'_>) {
        let token = self.tokens.get(heard.member).map_or("", String::as_str);
        let (seen, epoch) = (self.seen.get(heard.member), self.epochs.get(heard.member));
        let subs = match (self.task, seen.zip(epoch)) {
            (Task::Resume, Some((seen, epoch))) => format!(
                r#","subs":{{"{}":{{"recover":true,"epoch":"{epoch}","offset":{seen}}}}}"#,
                self.room(heard.member)
            ),
            _ => String::new(),
        };
        let connect =
            format!(r#"{{"id":{CONNECT},"connect":{{"token":"{token}","name":"bench"{subs}}}}}"#);
        heard.say(connect.as_bytes());
    }

    fn send(&mut self, id: u32, text: &str, heard: &mut Heard<'_>) {
        use std::fmt::Write;
        let mut command = std::mem::take(&mut self.command);
        command.clear();
        let (number, room) = (id + CONNECT + 1, self.room(heard.member));
        // Writing to a string cannot fail.
        let _ = match self.task {
            Task::Read => {
                let top = self.seen.get(heard.member).copied().unwrap_or(0);
                let before = fastrand::u64(PAGE + 1..=top.max(PAGE + 1));
                write!(
                    command,
                    r#"{{"id":{number},"rpc":{{"method":"message.page","data":{{"room":"{room}","before":{before},"limit":{PAGE}}}}}}}"#
                )
            }
            Task::Send | Task::Resume => write!(
                command,
                r#"{{"id":{number},"rpc":{{"method":"message.send","data":{{"room":"{room}","id":"b{id:08x}","body":{{"text":"{text}"}}}}}}}}"#
            ),
        };
        heard.say(command.as_bytes());
        self.command = command;
    }

    fn frame(&mut self, payload: &[u8], heard: &mut Heard<'_>) {
        let mut rest = payload;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if line.starts_with(b"{\"push\":") {
                self.push(line, heard);
            } else if line.starts_with(b"{\"id\":") {
                self.reply(line, heard);
            } else if line == b"{}" {
                heard.say(b"{}");
            }
        }
    }
}

/// The epoch and the last sequence of a room, from the answer to connecting.
fn stand(line: &[u8], room: &str) -> Option<(String, u64)> {
    #[derive(Deserialize)]
    struct Reply {
        connect: Connected,
    }
    #[derive(Deserialize)]
    struct Connected {
        subs: BTreeMap<String, Stand>,
    }
    #[derive(Deserialize)]
    struct Stand {
        #[serde(default)]
        epoch: String,
        #[serde(default)]
        offset: u64,
    }
    let mut reply: Reply = serde_json::from_slice(line).ok()?;
    let stand = reply.connect.subs.remove(room)?;
    Some((stand.epoch, stand.offset))
}

/// The number that stands at the beginning.
fn leading(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::*;

    const PUSH: &str = r#"{"push":{"channel":"room:a","pub":{"data":{"type":"message","seq":7,"body":{"text":"@@00000000@x"}},"info":{"user":"ann"},"offset":7,"time":1732000000000}}}"#;

    /// One room of two, one of whom sends; its only message is under way.
    fn told(frames: &[&str]) -> (Ledger, Vec<u8>) {
        const COME: &str =
            r#"{"id":1,"connect":{"client":"c","subs":{"room:a":{"epoch":"1","offset":6}}}}"#;
        let cast = Cast {
            tokens: vec!["a".to_owned(), "b".to_owned()],
            rooms: vec!["room:a".to_owned()],
            members: 2,
            each: 1,
        };
        let mut dialect = Centrifuge::new(&cast);
        let mut ledger = Ledger::new(1, 2, 1).unwrap();
        ledger.measuring = true;
        ledger.send(0, 0);
        let mut out = Vec::new();
        for frame in [&COME].into_iter().chain(frames) {
            let mut heard = Heard {
                ledger: &mut ledger,
                out: &mut out,
                now: 1_000,
                member: 0,
            };
            dialect.frame(frame.as_bytes(), &mut heard);
        }
        (ledger, out)
    }

    #[test]
    fn several_messages_in_one_frame_are_all_heard() {
        let (ledger, out) = told(&[&format!(
            "{PUSH}\n{{}}\n{{\"id\":2,\"rpc\":{{\"data\":{{\"seq\":7}}}}}}"
        )]);
        assert_eq!((ledger.ready, ledger.acked, ledger.delivered), (1, 1, 1));
        assert_eq!(ledger.errors + ledger.refused + ledger.holes, 0);
        // A ping is answered.
        assert_eq!(out.len(), 2 + 4 + 2);
    }

    #[test]
    fn what_is_passed_over_is_seen_by_the_rooms_own_count() {
        let later = PUSH.replace("\"offset\":7", "\"offset\":10");
        let own = PUSH
            .replace("room:a", "#ann")
            .replace("\"offset\":7", "\"offset\":1");
        let (ledger, _) = told(&[PUSH, &own, &later, &own]);
        assert_eq!(ledger.holes, 2);
        assert_eq!((ledger.delivered, ledger.doubled), (1, 1));
    }

    #[test]
    fn a_refusal_is_no_answer() {
        let refused = r#"{"id":2,"error":{"code":111,"message":"too many requests"}}"#;
        let (ledger, _) = told(&[refused]);
        assert_eq!((ledger.refused, ledger.acked), (1, 0));
        assert!(ledger.complaint.unwrap().contains("too many"));
        assert_eq!(told(&[r#"{"id":1,"error":{"code":109}}"#]).0.errors, 1);
    }
}

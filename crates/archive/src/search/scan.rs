//! How the candidates of a search are read, whichever database has them.

use std::collections::HashSet;

use chinwag_protocol::id::RoomId;

use super::{Found, Match, Query, SEARCH_MOST, Search};
use crate::page::clamped;
use crate::row::{Row, unsigned};
use crate::tokenize;

/// The most candidates that one call reads; it then says where to go on.
const SCAN_MOST: usize = 2000;

/// Above this many rooms the index is not asked to choose among them, the rows are.
const ROOM_TOKENS_MOST: usize = 200;

/// A search under way. The index gives candidates, newest first: rows with all the tokens, which
/// may lack the phrase or, for a room's token is a hash, be of another room.
#[derive(Debug)]
pub(crate) struct Scan {
    query: Query,
    rooms: HashSet<RoomId>,
    wanted: usize,
    scanned: usize,
    before: i64,
    ended: bool,
    found: Found,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read at most `limit` candidates numbered below `before`, descending.
    Read { before: i64, limit: usize },
    /// Answer.
    Done,
}

impl Scan {
    pub fn new(search: Search<'_>) -> Self {
        Self {
            query: search.query.clone(),
            rooms: search.rooms.iter().cloned().collect(),
            wanted: search.limit.min(SEARCH_MOST),
            scanned: 0,
            before: search.before.map_or(i64::MAX, clamped),
            ended: search.rooms.is_empty() || search.limit == 0,
            found: Found::default(),
        }
    }

    /// The tokens that a candidate must all have.
    pub fn tokens(&self) -> Vec<String> {
        self.query.tokens().into_iter().collect()
    }

    /// The tokens of which a candidate must have one; none if any will do.
    pub fn room_tokens(&self) -> Vec<String> {
        let few = self.rooms.len() <= ROOM_TOKENS_MOST;
        self.rooms
            .iter()
            .filter(|_| few)
            .map(tokenize::room_token)
            .collect()
    }

    /// What to read next.
    pub fn step(&self) -> Step {
        if self.ended {
            return Step::Done;
        }
        let missing = self.wanted - self.found.matches.len();
        // One more than is missing tells whether there are more; after misses, larger bites.
        let limit = (missing + 1).max(self.scanned).min(SCAN_MOST);
        Step::Read {
            before: self.before,
            limit,
        }
    }

    /// Takes the candidates that were read, with their numbers, when `limit` were asked for.
    pub fn take(&mut self, candidates: Vec<(i64, Row)>, limit: usize) {
        let exhausted = candidates.len() < limit;
        let last = candidates.len().saturating_sub(1);
        for (at, (number, row)) in candidates.into_iter().enumerate() {
            self.before = number;
            self.scanned += 1;
            if self.rooms.contains(&row.room) && self.query.admits(&row) {
                self.found.matches.push(Match {
                    room: row.room,
                    event: row.event,
                });
            }
            if self.found.matches.len() == self.wanted {
                return self.end(exhausted && at == last);
            }
        }
        if exhausted || self.scanned >= SCAN_MOST {
            self.end(exhausted);
        }
    }

    fn end(&mut self, exhausted: bool) {
        self.ended = true;
        self.found.next = (!exhausted).then(|| unsigned(self.before));
    }

    pub fn found(self) -> Found {
        self.found
    }
}

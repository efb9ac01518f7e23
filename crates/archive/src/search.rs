//! A search as written, a search as meant, and what it found.

use std::collections::BTreeSet;

mod scan;

use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::limit::Violation;

use crate::row::Row;
use crate::tokenize::{self, Unit};

pub(crate) use scan::{Scan, Step};

/// The most matches that one call returns, whatever it asks for.
pub const SEARCH_MOST: usize = 200;

const QUERY_BYTES: usize = 1024;
const QUERY_UNITS: usize = 64;

/// What to look for: phrases, all of which a text must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    phrases: Vec<Vec<Unit>>,
    ignored: Vec<String>,
}

/// A search in some rooms.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Where. What is not named here is never found.
    pub rooms: &'a [RoomId],
    /// What.
    pub query: &'a Query,
    /// How many matches at most; see [`SEARCH_MOST`].
    pub limit: usize,
    /// Go on from [`Found::next`]; nothing to begin with the newest.
    pub before: Option<u64>,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The matches, newest first.
    pub matches: Vec<Match>,
    /// Where to go on; nothing when all has been looked through. There can be a next place
    /// without a full page, even after an empty one.
    pub next: Option<u64>,
}

/// One match.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Its room.
    pub room: RoomId,
    /// The message.
    pub event: Event,
}

impl Query {
    /// Reads a query: terms between spaces, phrases between `"` (or `“ ”`). A term that is several
    /// words to the index (`well-known`, `snake_case`, `去上海`) is a phrase. No character has a
    /// meaning beyond that, so anything people type is a query.
    ///
    /// # Errors
    /// Names the field `query` if it is too long, or has nothing in it that can be looked for.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.len() > QUERY_BYTES {
            let problem = format!("must be at most {QUERY_BYTES} bytes, got {}", text.len());
            return Err(Violation::new("query", problem));
        }
        let (mut phrases, mut ignored) = (Vec::new(), Vec::new());
        for term in terms(text) {
            let units = tokenize::units(term);
            if units.is_empty() {
                ignored.push(term.to_owned());
            } else if !phrases.contains(&units) {
                phrases.push(units);
            }
        }
        let length: usize = phrases.iter().map(Vec::len).sum();
        if length > QUERY_UNITS {
            let problem = format!("must be at most {QUERY_UNITS} words, got {length}");
            return Err(Violation::new("query", problem));
        }
        if phrases.is_empty() {
            return Err(Violation::new(
                "query",
                "must have a letter, digit or emoji in it",
            ));
        }
        Ok(Self { phrases, ignored })
    }

    /// The terms that have nothing in them that can be looked for (`->`, `++`), as written. They
    /// are no part of the search; whoever shows its results should say so.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Whether a text holds all that is asked for.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = tokenize::units(text);
        self.phrases
            .iter()
            .all(|phrase| tokenize::holds(&text, phrase))
    }

    /// The tokens under which every match is indexed.
    pub(crate) fn tokens(&self) -> BTreeSet<String> {
        self.phrases
            .iter()
            .flat_map(|phrase| tokenize::phrase_tokens(phrase))
            .collect()
    }

    fn is_exact(&self) -> bool {
        self.phrases.iter().all(|phrase| tokenize::is_exact(phrase))
    }

    /// Whether a row that has the tokens has the phrases as well.
    pub(crate) fn admits(&self, row: &Row) -> bool {
        self.is_exact()
            || tokenize::text_of(&row.event.content).is_some_and(|text| self.matches(&text))
    }
}

/// The pieces between spaces and quotation marks. An open quotation ends with the text.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(['"', '\u{201c}', '\u{201d}']).enumerate();
    pieces.flat_map(|(at, piece)| {
        let quoted = at % 2 == 1;
        let whole = quoted
            .then_some(piece.trim())
            .filter(|piece| !piece.is_empty());
        whole.into_iter().chain(
            (!quoted)
                .then(|| piece.split_whitespace())
                .into_iter()
                .flatten(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phrases(text: &str) -> Vec<String> {
        let query = Query::parse(text).unwrap();
        let joined = |phrase: &Vec<Unit>| {
            let texts: Vec<&str> = phrase.iter().map(|unit| &*unit.text).collect();
            texts.join(" ")
        };
        query.phrases.iter().map(joined).collect()
    }

    #[test]
    fn terms_stand_between_spaces_and_phrases_between_quotation_marks() {
        assert_eq!(phrases("Release notes"), ["release", "notes"]);
        assert_eq!(
            phrases(r#"a "B c" d“e f”g "open end"#),
            ["a", "b c", "d", "e f", "g", "open end"]
        );
        assert_eq!(phrases("snake_case 去上海"), ["snake case", "去 上 海"]);
        assert_eq!(phrases("twice Twice"), ["twice"]);
        assert_eq!(phrases("a OR -b* c:d"), ["a", "or", "b", "c d"]);
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        assert_eq!(
            Query::parse("c ++ \" -> \"").unwrap().ignored(),
            ["++", "->"]
        );
        for nothing in ["", "  ", "\"\"", "!? -"] {
            let refused = Query::parse(nothing).unwrap_err().to_string();
            assert_eq!(refused, "query: must have a letter, digit or emoji in it");
        }
        let refused = Query::parse(&"a".repeat(2000)).unwrap_err().to_string();
        assert_eq!(refused, "query: must be at most 1024 bytes, got 2000");
        let many: Vec<String> = (0..70).map(|number| number.to_string()).collect();
        let refused = Query::parse(&many.join(" ")).unwrap_err().to_string();
        assert_eq!(refused, "query: must be at most 64 words, got 70");
    }

    proptest! {
        #[test]
        fn a_query_matches_itself(text in "\\PC{0,40}|[a上 \"]{0,20}") {
            if let Ok(query) = Query::parse(&text) {
                prop_assert!(query.matches(&text));
            }
        }
    }
}

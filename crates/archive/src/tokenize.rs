//! Text as tokens: words, and pairs of characters where a script writes no spaces. Pure.
//!
//! Text is folded first, so that what people take for the same is the same: compatibility forms
//! (`ＡＢＣ`, `ﬁ`, `ｶﾀｶﾅ`), case (`Straße` = `STRASSE`), accents (`café` = `cafe`).
//!
//! Then it is cut into [`Unit`]s. A word is a run of letters, digits and marks. Chinese, Japanese,
//! Korean, Thai, Lao, Khmer and Burmese come as one unit a character, *glued* to the one before if
//! nothing stands between them. An emoji is a unit. Everything else separates.
//!
//! A text is indexed under the set of its units and of its glued pairs: `去上海` under 去, 上, 海,
//! 去上, 上海. Whoever looks for 上海 finds it by the pair, without a dictionary that would have to
//! know the word, and whoever looks for 海 alone finds it too. A longer phrase is found by all of
//! its tokens and then checked, unit by unit, against the text itself (see [`crate::Query`]), so
//! both databases give the same answers.

use std::collections::BTreeSet;
use std::sync::Arc;

mod fold;
mod script;

use chinwag_protocol::event::Content;
use chinwag_protocol::id::RoomId;
use serde_bytes::{ByteBuf, Bytes};
use serde_json::value::RawValue;
use std::collections::HashMap;

use fold::folded;
use script::Class;

/// The most bytes of one text that are indexed. No body is as long today; a longer one is found
/// by what stands before that.
pub const INDEXED_BYTES: usize = 128 * 1024;

/// Characters of a word that are indexed. A longer word is found by these and checked in full.
const WORD_CHARACTERS: usize = 64;

/// The smallest thing that can be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Folded. A word, or one character.
    pub text: Arc<str>,
    /// Whether it is a character of a script without spaces that directly follows another one.
    pub glued: bool,
}

/// Cuts a text into its units, in order.
#[must_use]
pub fn units(text: &str) -> Vec<Unit> {
    let mut cutter = Cutter::default();
    for character in folded(text) {
        cutter.take(character);
    }
    cutter.end_word();
    cutter.units
}

#[derive(Default)]
struct Cutter {
    units: Vec<Unit>,
    word: String,
    in_run: bool,
}

impl Cutter {
    fn take(&mut self, character: char) {
        match Class::of(character) {
            Class::Word => {
                self.in_run = false;
                self.word.push(character);
            }
            // A mark belongs to what it stands on; alone it is nothing.
            Class::Mark if self.word.is_empty() => {}
            Class::Mark => self.word.push(character),
            Class::Run => {
                self.end_word();
                self.single(character, self.in_run);
                self.in_run = true;
            }
            Class::Symbol => {
                self.end_word();
                self.single(character, false);
                self.in_run = false;
            }
            Class::Invisible => {}
            Class::Separator => {
                self.end_word();
                self.in_run = false;
            }
        }
    }

    fn single(&mut self, character: char, glued: bool) {
        let text = character.encode_utf8(&mut [0; 4]).into();
        self.units.push(Unit { text, glued });
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            let text = self.word.as_str().into();
            self.units.push(Unit { text, glued: false });
            self.word.clear();
        }
    }
}

/// The tokens under which a text is indexed.
#[must_use]
pub fn tokens(units: &[Unit]) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for (at, unit) in units.iter().enumerate() {
        tokens.insert(single(unit).to_owned());
        if unit.glued && at > 0 {
            tokens.insert(pair(&units[at - 1], unit));
        }
    }
    tokens
}

/// The fewest tokens that every text with this phrase in it is indexed under.
#[must_use]
pub fn phrase_tokens(phrase: &[Unit]) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for (at, unit) in phrase.iter().enumerate() {
        let follows = unit.glued && at > 0;
        let followed = phrase.get(at + 1).is_some_and(|next| next.glued);
        if follows {
            tokens.insert(pair(&phrase[at - 1], unit));
        } else if !followed {
            tokens.insert(single(unit).to_owned());
        }
    }
    tokens
}

/// Whether a phrase's tokens say all of it: then a text with all of them holds the phrase.
#[must_use]
pub fn is_exact(phrase: &[Unit]) -> bool {
    match phrase {
        // A word of the full length could be the beginning of a longer one.
        [one] => one.text.chars().count() < WORD_CHARACTERS,
        [_, second] => second.glued,
        _ => false,
    }
}

/// Whether a text holds a phrase. What is glued in the phrase must be glued in the text.
#[must_use]
pub fn holds(text: &[Unit], phrase: &[Unit]) -> bool {
    !phrase.is_empty()
        && text.windows(phrase.len()).any(|window| {
            window
                .iter()
                .zip(phrase)
                .enumerate()
                .all(|(at, (unit, wanted))| {
                    unit.text == wanted.text && (at == 0 || unit.glued || !wanted.glued)
                })
        })
}

fn single(unit: &Unit) -> &str {
    match unit.text.char_indices().nth(WORD_CHARACTERS) {
        Some((end, _)) => &unit.text[..end],
        None => &unit.text,
    }
}

fn pair(one: &Unit, next: &Unit) -> String {
    format!("{}{}", one.text, next.text)
}

/// What people read in a message: its body if that is a string, or the body's `text` if that is
/// one.
#[must_use]
pub fn text_of(content: &Content) -> Option<String> {
    let Content::Message { body } = content else {
        return None;
    };
    let body = body.as_bytes();
    match body.first()? {
        b'"' => string(body),
        b'{' => {
            // A map keeps the last of equal names, as browsers do.
            let fields: HashMap<ByteBuf, &RawValue> = serde_json::from_slice(body).ok()?;
            string(fields.get(Bytes::new(b"text"))?.get().as_bytes())
        }
        _ => None,
    }
}

/// A JSON string. Half of a surrogate pair, which browsers let through, spoils only itself.
fn string(json: &[u8]) -> Option<String> {
    if json.first() != Some(&b'"') {
        return None;
    }
    let bytes: ByteBuf = serde_json::from_slice(json).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The entry of a message in the word index: the token of its room and those of its text, with a
/// space between. Nothing for a text without any.
pub(crate) fn entry(room: &RoomId, text: &str) -> Option<String> {
    let tokens = tokens(&units(&text[..text.floor_char_boundary(INDEXED_BYTES)]));
    if tokens.is_empty() {
        return None;
    }
    let mut entry = room_token(room);
    for token in &tokens {
        entry.push(' ');
        entry.push_str(token);
    }
    Some(entry)
}

/// The token of a room, which no text can have because `#` separates. It narrows a search before
/// rows are read; it is a hash (FNV-1a, 64 bits), so whoever finds by it looks at the room too.
pub(crate) fn room_token(room: &RoomId) -> String {
    let hash = room
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("#{hash:016x}")
}

#[cfg(test)]
mod tests;

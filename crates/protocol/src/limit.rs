//! The limits on what comes from outside. A limit is a number and the error that names it.

use thiserror::Error;

/// Longest user id, in bytes.
pub const USER_ID_BYTES: usize = 60;
/// Longest room id (channel name), in bytes. Two user ids and `dm::` fit.
pub const ROOM_ID_BYTES: usize = 128;
/// Longest client message id, in bytes. Shorter than Redis's 64-byte listpack values, so that
/// the dedupe hash stays compact together with the sender's name.
pub const MESSAGE_ID_BYTES: usize = 64;
/// Largest frame from a client, in bytes.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Largest body of one message, in bytes of JSON.
pub const BODY_BYTES: usize = 32 * 1024;
/// Most commands in one frame.
pub const COMMANDS_PER_FRAME: usize = 512;
/// Deepest nesting of JSON values in a body.
pub const JSON_DEPTH: usize = 64;
/// Most events in one page of history.
pub const PAGE_EVENTS: usize = 200;
/// Longest name of a room, in characters.
pub const ROOM_NAME_CHARACTERS: usize = 80;
/// Longest topic of a room, in characters.
pub const ROOM_TOPIC_CHARACTERS: usize = 250;
/// Longest display name of a user, in characters.
pub const DISPLAY_NAME_CHARACTERS: usize = 80;
/// The largest sequence number that survives a JSON number: 2^53 - 1.
pub const SEQUENCE: u64 = (1 << 53) - 1;

/// A value from outside that is not within its limit; the message names the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct Violation {
    /// Name of the field as the sender spells it.
    pub field: &'static str,
    /// What is wrong, with the limit and what was given.
    pub problem: String,
}

impl Violation {
    /// Says what is wrong with `field`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }

    /// The same problem under another field's name.
    #[must_use]
    pub fn of(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }
}

/// Checks a human-readable text: its length in characters, and that it holds no control
/// characters, which would let it forge lines in logs and terminals.
///
/// # Errors
/// Names the field, the limit and what was given.
pub fn text(
    field: &'static str,
    value: &str,
    least: usize,
    most: usize,
) -> Result<String, Violation> {
    let value = value.trim();
    let characters = value.chars().count();
    if characters < least || characters > most {
        let problem = format!("must be {least} to {most} characters, got {characters}");
        return Err(Violation::new(field, problem));
    }
    if value.chars().any(char::is_control) {
        return Err(Violation::new(field, "must not contain control characters"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_counted_in_characters_and_free_of_controls() {
        assert_eq!(text("name", " 上海 ", 1, 2).unwrap(), "上海");
        assert_eq!(
            text("name", "", 1, 80).unwrap_err().to_string(),
            "name: must be 1 to 80 characters, got 0"
        );
        assert!(text("name", "a\u{7}b", 1, 80).is_err());
    }
}

//! JSON that passes through: checked once, kept to the letter, never rebuilt.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::limit::{self, Violation};

/// A valid JSON text without surrounding white space. A clone shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// Checks that `text` is one JSON value of at most `most` bytes and bounded depth, without
    /// line breaks outside strings (they separate messages on the wire).
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn new(field: &'static str, text: &[u8], most: usize) -> Result<Self, Violation> {
        if text.len() > most {
            let problem = format!("must be at most {most} bytes, got {}", text.len());
            return Err(Violation::new(field, problem));
        }
        let value: &RawValue = serde_json::from_slice(text)
            .map_err(|error| Violation::new(field, format!("must be JSON: {error}")))?;
        if depth(value.get().as_bytes()) > limit::JSON_DEPTH {
            let problem = format!("must nest at most {} deep", limit::JSON_DEPTH);
            return Err(Violation::new(field, problem));
        }
        if value
            .get()
            .bytes()
            .any(|byte| byte == b'\n' || byte == b'\r')
        {
            // Raw line breaks are only legal between tokens; a compact copy has none.
            let value: serde_json::Value = serde_json::from_str(value.get())
                .map_err(|error| Violation::new(field, format!("must be JSON: {error}")))?;
            return Ok(Self::of(&value));
        }
        Ok(Self(Bytes::copy_from_slice(value.get().as_bytes())))
    }

    /// The JSON of a value of ours.
    #[must_use]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        let text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        Self(text.into())
    }

    /// Takes bytes that were checked before they were stored.
    #[must_use]
    pub fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text, as it is on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }
}

/// How deep brackets nest, in a text that is JSON (or, if it is not, will be refused as such).
pub(crate) fn depth(text: &[u8]) -> usize {
    let (mut deepest, mut now, mut quoted, mut escaped) = (0usize, 0usize, false, false);
    for byte in text {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => {
                now += 1;
                deepest = deepest.max(now);
            }
            (false, b']' | b'}') => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Json::new("json", raw.get().as_bytes(), limit::FRAME_BYTES)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_to_the_letter() {
        let json = Json::new("body", br#" {"b":1.0, "a":"\u4e0a"} "#, 100).unwrap();
        assert_eq!(json.as_str(), r#"{"b":1.0, "a":"\u4e0a"}"#);
    }

    #[test]
    fn line_breaks_never_reach_the_wire() {
        let json = Json::new("body", b"{\n\"a\":\r\n1}", 100).unwrap();
        assert_eq!(json.as_str(), r#"{"a":1}"#);
    }

    #[test]
    fn refuses_what_is_not_json_or_too_deep_or_too_long() {
        for bad in ["", "{", "nul", "1 2", "\u{1}"] {
            assert!(Json::new("body", bad.as_bytes(), 100).is_err(), "{bad:?}");
        }
        assert!(Json::new("body", b"\"\xff\"", 100).is_err());
        let deep = "[".repeat(65) + &"]".repeat(65);
        let error = Json::new("body", deep.as_bytes(), 1000).unwrap_err();
        assert_eq!(error.to_string(), "body: must nest at most 64 deep");
        let error = Json::new("body", b"[1,2]", 4).unwrap_err();
        assert_eq!(error.to_string(), "body: must be at most 4 bytes, got 5");
    }
}

//! Any JSON as a message's body: its text, if it has any, is cut into tokens.

#![no_main]

use chinwag_archive::tokenize::{text_of, tokens, units};
use chinwag_protocol::event::Content;
use chinwag_protocol::json::Json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(body) = Json::new("body", input, 64 * 1024) {
        let plain = body.as_bytes().first() == Some(&b'"');
        let text = text_of(&Content::Message { body });
        assert!(text.is_some() || !plain);
        let _ = tokens(&units(&text.unwrap_or_default()));
    }
});

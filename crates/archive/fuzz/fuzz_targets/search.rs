//! Any query (the first line) against any text (the rest). What holds a phrase is indexed under
//! all of its tokens, every text is found by itself, and no token breaks an index.

#![no_main]

use chinwag_archive::Query;
use chinwag_archive::tokenize::{holds, is_exact, phrase_tokens, tokens, units};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (query, text) = input.split_once('\n').unwrap_or((input, input));
    let (phrase, cut) = (units(query), units(text));
    let indexed = tokens(&cut);
    for token in &indexed {
        assert!(!token.is_empty() && token.len() <= 256);
        assert!(!token.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii()));
        assert!(!token.chars().any(char::is_whitespace));
    }
    let subset = phrase_tokens(&phrase).is_subset(&indexed);
    assert!(subset || !holds(&cut, &phrase));
    if is_exact(&phrase) {
        assert_eq!(subset, holds(&cut, &phrase));
    }
    assert!(cut.is_empty() || holds(&cut, &cut));
    if let Ok(parsed) = Query::parse(query) {
        assert!(parsed.matches(query));
        if parsed.matches(text) {
            assert!(parsed.matches(&format!("{query} {text} {query}")));
        }
    }
});

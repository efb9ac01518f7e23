//! What is found by what.

use chinwag_protocol::json::Json;

use super::*;

fn texts(text: &str) -> Vec<String> {
    units(text)
        .iter()
        .map(|unit| unit.text.to_string())
        .collect()
}

fn finds(query: &str, text: &str) -> bool {
    let (query, text) = (units(query), units(text));
    let found = holds(&text, &query);
    let (wanted, indexed) = (phrase_tokens(&query), tokens(&text));
    assert!(
        !found || wanted.is_subset(&indexed),
        "{wanted:?} of {indexed:?}"
    );
    found
}

fn message(body: &str) -> Content {
    Content::Message {
        body: Json::new("body", body.as_bytes(), 1000).unwrap(),
    }
}

#[test]
fn words_are_letters_and_digits_folded() {
    assert_eq!(
        texts("Hello, World-2 a_b!"),
        ["hello", "world", "2", "a", "b"]
    );
    assert_eq!(
        texts("Straße STRASSE CAFÉ cafe\u{301} ﬁn ＡＢＣ"),
        ["strasse", "strasse", "cafe", "cafe", "fin", "abc"]
    );
    assert_eq!(
        texts("ΣΊΣΥΦΟΣ σίσυφος İstanbul ёлка"),
        ["σισυφοσ", "σισυφοσ", "istanbul", "елка"]
    );
}

#[test]
fn marks_stay_with_their_letters_and_joiners_vanish() {
    assert_eq!(texts("हिन्दी"), ["हिन्दी"]);
    assert_eq!(texts("so\u{ad}ft می\u{200c}خواهم"), ["soft", "میخواهم"]);
}

#[test]
fn emoji_can_be_looked_for_whatever_their_tone_and_dress() {
    assert_eq!(texts("ok👍🏽done"), ["ok", "👍", "done"]);
    assert_eq!(texts("👩\u{200d}💻 ❤\u{fe0f}"), ["👩", "💻", "❤"]);
}

#[test]
fn chinese_is_found_by_any_run_of_its_characters() {
    let text = "我们明天去上海市，看iPhone手机展。";
    for query in [
        "上海",
        "海",
        "上海市",
        "去上海市",
        "iphone",
        "手机",
        "IPHONE手机展",
        "明天 去",
    ] {
        assert!(finds(query, text), "{query}");
    }
    for query in ["海上", "市看", "上市", "手 展", "phone"] {
        assert!(!finds(query, text), "{query}");
    }
}

#[test]
fn japanese_korean_and_thai_are_found_inside_a_sentence() {
    assert!(finds("ガード", "ｶｰﾄﾞとガードマン"));
    assert!(!finds("カード", "ガード"));
    assert!(finds("カード", "ｶｰﾄﾞ"));
    assert!(finds("학교", "오늘 학교에서 만나"));
    assert!(finds("กรุงเทพ", "ไปกรุงเทพฯ พรุ่งนี้"));
    assert!(finds("ภาษา", "ผมพูดภาษาไทยได้"));
}

#[test]
fn a_phrase_is_in_order_and_whole() {
    assert!(finds("quick brown", "The QUICK, brown fox"));
    assert!(!finds("brown quick", "The quick brown fox"));
    assert!(!finds("quick fox", "The quick brown fox"));
    assert!(finds("well known", "a well-known text"));
}

#[test]
fn overlong_words_are_indexed_by_their_beginning_and_compared_whole() {
    let (one, other) = ("x".repeat(70) + "1", "x".repeat(70) + "2");
    assert_eq!(tokens(&units(&one)), tokens(&units(&other)));
    assert!(finds(&one, &one) && !finds(&one, &other));
    assert!(!is_exact(&units(&one)) && !is_exact(&units(&one[..64])));
    assert!(is_exact(&units(&one[..63])));
}

#[test]
fn only_text_is_text() {
    assert_eq!(text_of(&message(r#""plain""#)).unwrap(), "plain");
    assert_eq!(
        text_of(&message(r#"{"a":[{"text":"no"}],"te\u0078t":"\u4e0a海"}"#)).unwrap(),
        "上海"
    );
    assert_eq!(
        text_of(&message(r#"{"text":"a","text":"b"}"#)).unwrap(),
        "b"
    );
    assert_eq!(
        text_of(&message(r#"{"text":"cut \ud83d"}"#)).unwrap(),
        "cut \u{fffd}\u{fffd}\u{fffd}"
    );
    for body in [
        r#"{"text":{"text":"x"}}"#,
        r#"{"text":null}"#,
        "[\"text\"]",
        "null",
        "1",
        "{}",
    ] {
        assert_eq!(text_of(&message(body)), None, "{body}");
    }
    let data = Json::of("published");
    assert_eq!(text_of(&Content::Publication { data }), None);
}

#[test]
fn no_token_is_the_token_of_a_room() {
    let room = RoomId::new("lobby").unwrap();
    let entry = entry(&room, "#lobby 上海").unwrap();
    assert_eq!(entry, format!("{} lobby 上 上海 海", room_token(&room)));
    assert_eq!(super::entry(&room, "#!"), None);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Texts with everything in them that the cutter treats differently.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zA-Z0-9]{1,4}",
            "[上海去市ガカｶﾞ학교กร]{1,4}",
            "[ ,_#\"'\u{0}\n\u{200b}\u{ad}\u{301}\u{fe0f}]{1,2}",
            "[👍❤éßŉİς²①]{1,2}",
            "\\PC{0,3}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn tokens_have_nothing_that_an_index_would_cut_at(text in ".{0,60}|\\PC{0,60}") {
            for token in tokens(&units(&text)) {
                prop_assert!(!token.is_empty() && token.len() <= 4 * WORD_CHARACTERS);
                prop_assert!(!token.chars().any(|character| {
                    character.is_whitespace() || character.is_control()
                        || character.is_ascii_punctuation() || character.is_ascii_uppercase()
                }), "{token:?}");
            }
        }

        #[test]
        fn whatever_holds_a_phrase_is_indexed_under_its_tokens(text in text(), phrase in text()) {
            finds(&phrase, &text);
        }

        #[test]
        fn every_stretch_of_units_is_found(text in text(), from in 0usize..40, length in 1usize..6) {
            let text = units(&text);
            let from = from.min(text.len());
            let mut phrase = text[from..(from + length).min(text.len())].to_vec();
            if let Some(first) = phrase.first_mut() {
                first.glued = false;
                prop_assert!(holds(&text, &phrase));
                prop_assert!(phrase_tokens(&phrase).is_subset(&tokens(&text)));
            }
        }

        #[test]
        fn an_exact_phrase_is_in_every_text_with_its_tokens(text in text(), phrase in text()) {
            let (text, phrase) = (units(&text), units(&phrase));
            if is_exact(&phrase) && phrase_tokens(&phrase).is_subset(&tokens(&text)) {
                prop_assert!(holds(&text, &phrase));
            }
        }

        #[test]
        fn folding_twice_is_folding_once(text in ".{0,40}|\\PC{0,40}") {
            let once: String = folded(&text).collect();
            let twice: String = folded(&once).collect();
            prop_assert_eq!(once, twice);
        }
    }
}

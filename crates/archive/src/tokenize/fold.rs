//! What people take for the same becomes the same.

use unicode_normalization::UnicodeNormalization;

/// The characters of a text in their common form: decomposed by compatibility, without accents,
/// in lower case, and composed again (which Korean syllables and Japanese voiced kana need).
pub(super) fn folded(text: &str) -> Box<dyn Iterator<Item = char> + '_> {
    if text.is_ascii() {
        return Box::new(text.chars().map(|character| character.to_ascii_lowercase()));
    }
    let plain = text.nfkd().filter(|character| !is_accent(*character));
    Box::new(plain.flat_map(lower).nfc())
}

/// The marks that Latin, Greek and Cyrillic put on letters. The marks of other scripts carry
/// vowels and stay.
fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// Lower case by way of upper case: that brings ß to ss, ſ to s and ς to σ.
fn lower(character: char) -> impl Iterator<Item = char> {
    let upper = character.to_lowercase().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase)
}

//! What a character is to a searcher.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The role of a character in a folded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of a word.
    Word,
    /// A unit by itself, written without spaces between.
    Run,
    /// A unit by itself: an emoji.
    Symbol,
    /// Changes the character before it.
    Mark,
    /// Not there: joiners, soft hyphens, variation selectors.
    Invisible,
    /// Ends whatever was before.
    Separator,
}

impl Class {
    pub(super) fn of(character: char) -> Self {
        if character.is_ascii() {
            let word = character.is_ascii_alphanumeric();
            return if word { Self::Word } else { Self::Separator };
        }
        match character {
            character if is_unspaced(character) => Self::Run,
            // The zero width space is where Thai and Khmer writers put a word's end.
            '\u{200b}' => Self::Separator,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Self::Invisible,
            // Skin tones: a thumb is a thumb.
            '\u{1f3fb}'..='\u{1f3ff}' => Self::Invisible,
            character => Self::by_category(character),
        }
    }

    fn by_category(character: char) -> Self {
        match (
            character.general_category(),
            character.general_category_group(),
        ) {
            (GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark, _) => Self::Mark,
            (GeneralCategory::EnclosingMark | GeneralCategory::Format, _) => Self::Invisible,
            (GeneralCategory::OtherSymbol, _) => Self::Symbol,
            (_, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number) => Self::Word,
            _ => Self::Separator,
        }
    }
}

/// Whether a character belongs to a script that puts no spaces between words, or, in Korean, glues
/// particles to them.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        // Thai, Lao (their digits are words).
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' | '\u{e81}'..='\u{ece}'
        | '\u{edc}'..='\u{edf}'
        // Burmese, Khmer.
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' | '\u{109a}'..='\u{109d}'
        | '\u{1780}'..='\u{17d3}' | '\u{17d7}' | '\u{17dc}'..='\u{17dd}'
        // Korean.
        | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
        // Chinese and Japanese: radicals, iteration marks, kana, bopomofo, ideographs.
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{302f}'
        | '\u{3031}'..='\u{3035}' | '\u{3038}'..='\u{303c}' | '\u{3041}'..='\u{309a}'
        | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{3105}'..='\u{312f}' | '\u{3131}'..='\u{318e}' | '\u{31a0}'..='\u{31bf}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3fffd}'
    )
}

//! Characters that mislead people: the ones that cannot be seen, and the ones that change how others are shown.

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, JoiningType},
};

/// The zero-width non-joiner and the zero-width joiner.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The combining class of the signs that take the vowel from a consonant, in the scripts of India and its neighbours.
const VIRAMA: u8 = 9;

/// Whether a character changes the order in which other characters are shown (the embeddings, overrides and isolates of
/// Unicode's bidirectional algorithm), or is one of the tags, which repeat ASCII invisibly. Right-to-left text needs none of
/// these; its marks U+200E, U+200F and U+061C are not among them.
pub(super) fn is_misleading(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a name has an invisible format character: one of the category `Cf`, or another one that Unicode shows as
/// nothing, such as a Hangul filler. Marks are allowed, because the variation selectors of Japanese names are marks. Joiners
/// are allowed where scripts need them.
pub(super) fn has_invisible(name: &str) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new();
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    name.char_indices().any(|(at, character)| {
        if JOINERS.contains(&character) {
            let after = &name[at + character.len_utf8()..];
            return !may_join(&name[..at], after.chars().next());
        }
        let category = category.get(character);
        let is_mark = GeneralCategoryGroup::Mark.contains(category);
        category == GeneralCategory::Format || (ignorable.contains(character) && !is_mark)
    })
}

/// Whether a joiner may stand here, by the rules of RFC 5892, appendix A, but simpler: after a virama, as Indic names need
/// it, or within a word of a script that joins its letters, as Persian names need it.
fn may_join(before: &str, after: Option<char>) -> bool {
    let class = |character| CanonicalCombiningClassMapBorrowed::new().get_u8(character);
    if before.chars().next_back().map(class) == Some(VIRAMA) {
        return true;
    }
    let joining = CodePointMapData::<JoiningType>::new();
    let joins = |character| match joining.get(character) {
        JoiningType::DualJoining | JoiningType::LeftJoining | JoiningType::RightJoining => Some(true),
        // A mark on the letter.
        JoiningType::Transparent if !JOINERS.contains(&character) => None,
        _ => Some(false),
    };
    before.chars().rev().find_map(joins) == Some(true)
        && after.map(joins).is_some_and(|joins| joins != Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_accepted() {
        for name in [
            "Jane Roe",
            "O’Neil-Smith, Jr.",
            "Zoë\tÖst\nSecond line",
            "Nguye\u{302}\u{303}n",
            // Persian, with a non-joiner between two letters.
            "علی\u{200c}رضا",
            "مُحَمَّد",
            // Sinhala and Malayalam, with a joiner after a virama, also at the end.
            "ශ්\u{200d}රී",
            "ജോണ്\u{200d}",
            // Japanese, with a variation selector.
            "葛\u{e0100}城",
            "김민준",
            "🦷 crown",
        ] {
            assert!(!has_invisible(name), "{name:?}");
        }
    }

    #[test]
    fn an_invisible_character_in_a_name_is_found() {
        for invisible in "\u{ad}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2062}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{feff}\u{fff9}\u{fffb}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{115f}\u{3164}\u{ffa0}".chars() {
            for name in [format!("Jane{invisible} Roe"), format!("{invisible}Roe"), format!("Ro{invisible}e"), format!("Roe{invisible}")] {
                assert!(has_invisible(&name), "{name:?}");
            }
        }
        // Joiners at the edge of a word, twice, and between letters that do not join.
        for name in [
            "\u{200c}علی",
            "علی\u{200c}",
            "علی\u{200c}\u{200c}رضا",
            "علی\u{200d} رضا",
            "علی\u{200c}x",
            "x\u{200c}علی",
        ] {
            assert!(has_invisible(name), "{name:?}");
        }
    }

    #[test]
    fn only_characters_that_reorder_text_and_tags_are_misleading() {
        for character in "\u{202a}\u{202e}\u{2066}\u{2069}\u{e0001}\u{e0061}\u{e007f}".chars() {
            assert!(is_misleading(character), "{character:?}");
        }
        for character in
            "a\u{200b}\u{200d}\u{200e}\u{200f}\u{61c}\u{ad}\u{feff}\u{2029}\u{202f}\u{206a}\u{e0100}".chars()
        {
            assert!(!is_misleading(character), "{character:?}");
        }
    }
}

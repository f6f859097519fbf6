//! The words of texts, as searches compare them: a word of a search finds each text in which a word begins with it.

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup, HangulSyllableType, Script},
};

use super::search_text::fold;

/// The scripts that are written without spaces between words. In them, a word may begin at each character.
const WITHOUT_SPACES: [Script; 9] = [
    Script::Han,
    Script::Hiragana,
    Script::Katakana,
    Script::Bopomofo,
    Script::Hangul,
    Script::Thai,
    Script::Lao,
    Script::Khmer,
    Script::Myanmar,
];

/// The words of a search: the folded parts between white space, without punctuation at their ends. A word that begins
/// another one is left out, because each text with the longer one has the shorter one as well.
pub(crate) fn of_search(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.sort_unstable();
    words.dedup();
    let begins_another =
        |index: usize| words.get(index + 1).is_some_and(|next| next.starts_with(&words[index]));
    let kept: Vec<bool> = (0..words.len()).map(|index| !begins_another(index)).collect();
    let mut kept = kept.into_iter();
    words.retain(|_| kept.next() == Some(true));
    words
}

/// Every place in a text at which a word begins, each as the text from there to the end of the word: `smith-jones` has
/// `smith-jones` and `jones`, and `山田太郎` has four.
pub(crate) fn beginnings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in words(text) {
        let mut previous = None;
        for (at, character) in word.char_indices() {
            if previous.is_none_or(|previous| begins_after(previous, character)) {
                found.push(word[at..].to_owned());
            }
            previous = Some(character);
        }
    }
    found
}

/// Whether a word of the search begins one of these words.
pub(crate) fn is_among(word: &str, beginnings: &[String]) -> bool {
    beginnings.iter().any(|beginning| beginning.starts_with(word))
}

fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split_whitespace().map(|word| word.trim_matches(is_punctuation));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a word begins at a character, inside of a part without white space.
fn begins_after(previous: char, character: char) -> bool {
    if is_punctuation(character) {
        return false;
    }
    // Folding takes the syllables of Hangul apart: a word begins with a syllable.
    match CodePointMapData::<HangulSyllableType>::new().get(character) {
        HangulSyllableType::NotApplicable => {
            is_punctuation(previous) || is_without_spaces(previous) || is_without_spaces(character)
        }
        syllable => syllable == HangulSyllableType::LeadingJamo,
    }
}

fn is_without_spaces(character: char) -> bool {
    WITHOUT_SPACES.contains(&CodePointMapData::<Script>::new().get(character))
}

fn is_punctuation(character: char) -> bool {
    GeneralCategoryGroup::Punctuation.contains(CodePointMapData::<GeneralCategory>::new().get(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_search_are_folded_and_have_no_punctuation_at_their_ends() {
        for (text, expected) in [
            ("Jane  ROE", &["jane", "roe"][..]),
            ("“Müller,” (Jürgen)", &["jurgen", "muller"]),
            ("O’Neil Smith–Jones", &["o'neil", "smith-jones"]),
            ("RIVERSIDE-202611-42 -42", &["42", "riverside-202611-42"]),
            ("jan Jane JANET jan", &["janet"]),
            ("\u{a0}Van\u{a0}Der", &["der", "van"]),
            ("- … \u{301} ,", &[]),
            ("太郎 🦷", &["太郎", "🦷"]),
        ] {
            assert_eq!(of_search(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_begins_after_punctuation_and_at_each_character_of_a_script_without_spaces() {
        for (text, expected) in [
            ("Jane Roe", &["jane", "roe"][..]),
            ("Smith-Jones", &["smith-jones", "jones"]),
            ("a--b", &["a--b", "b"]),
            ("O’Neil,", &["o'neil", "neil"]),
            ("山田太郎", &["山田太郎", "田太郎", "太郎", "郎"]),
            ("ﾔﾏﾀﾞ", &["ヤマタ", "マタ", "タ"]),
            ("ABC歯科2", &["abc歯科2", "歯科2", "科2", "2"]),
            ("ไทย", &["ไทย", "ทย", "ย"]),
            ("", &[]),
            ("…", &[]),
        ] {
            assert_eq!(beginnings(text), expected, "{text}");
        }
        let korean = beginnings("김민준");
        assert_eq!(korean, [fold("김민준"), fold("민준"), fold("준")]);
        assert!(is_among(&fold("민"), &korean) && !is_among("\u{1175}", &korean));
    }

    #[test]
    fn a_word_is_found_by_its_beginning_only() {
        let beginnings = beginnings("Anna-Maria Müller");
        for found in ["anna", "anna-m", "mar", "muller", "m"] {
            assert!(is_among(found, &beginnings), "{found}");
        }
        for other in ["nna", "ria", "uller", "anna maria", "mullers"] {
            assert!(!is_among(other, &beginnings), "{other}");
        }
    }

    #[test]
    fn each_word_of_a_text_finds_it() {
        for text in ["Jürgen Müller", "山田 太郎", "Lloyd–Webb, Amy", "김민준", "Ævar Þór", "إبراهيم"]
        {
            let beginnings = beginnings(text);
            for word in text.split_whitespace().flat_map(of_search) {
                assert!(is_among(&word, &beginnings), "{word}");
            }
        }
    }
}

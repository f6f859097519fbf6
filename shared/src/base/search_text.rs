//! The form in which texts are compared by searches.

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizer;
use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};

/// The minus sign, which is no dash for Unicode.
const MINUS: char = '\u{2212}';

/// Folds a text, so that spellings that people take for the same become equal:
///
/// - NFKD, so that composed and decomposed letters, full-width letters and ligatures are equal;
/// - without marks, such as accents, and without invisible format characters;
/// - with Unicode's full case folding: `ß` is `ss`, a final sigma is a sigma, and a Turkish `İ` is an `i`;
/// - with plain letters for those that Unicode does not decompose ([`plain_letter`]);
/// - with one apostrophe, one hyphen and one space.
///
/// The text of a case and the words of a search both go through this function. The words of a text are its folded parts
/// between white space. A folded text stays as it is when it is folded again.
pub(crate) fn fold(text: &str) -> String {
    let punctuated: String = text.chars().map(plain_apostrophe).collect();
    let category = CodePointMapData::<GeneralCategory>::new();
    let mut letters = String::with_capacity(punctuated.len());
    for character in DecomposingNormalizer::new_nfkd().normalize(&punctuated).chars() {
        let character = plain_apostrophe(character);
        match category.get(character) {
            GeneralCategory::Format => {}
            _ if character == MINUS => letters.push('-'),
            GeneralCategory::DashPunctuation => letters.push('-'),
            GeneralCategory::SpaceSeparator => letters.push(' '),
            other if GeneralCategoryGroup::Mark.contains(other) => {}
            _ => letters.push(character),
        }
    }
    let mut folded = String::with_capacity(letters.len());
    for character in CaseMapper::new().fold_string(&letters).chars() {
        match plain_letter(character) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(character),
        }
    }
    folded
}

/// The straight apostrophe for the characters that keyboards and word processors put in its place. NFKD makes a space of an
/// acute accent that stands alone, so the text is read in this way before NFKD as well.
fn plain_apostrophe(character: char) -> char {
    match character {
        '\u{2018}'..='\u{201b}' | '\u{2bb}'..='\u{2bf}' | '\u{2b9}' | '\u{2032}' | '\u{b4}' | '`' => '\'',
        other => other,
    }
}

/// The letters that people type for a letter without a decomposition, as in the transform Latin-ASCII of Unicode's CLDR:
/// the letters of the alphabets of Europe's and Turkic languages, in lower case.
fn plain_letter(letter: char) -> Option<&'static str> {
    Some(match letter {
        'æ' => "ae",
        'đ' | 'ð' => "d",
        'ə' => "e",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŋ' => "n",
        'ø' => "o",
        'œ' => "oe",
        'ŧ' => "t",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_people_take_for_the_same_fold_to_the_same_text() {
        for (folded, spellings) in [
            ("muller", &["Müller", "MÜLLER", "Mu\u{308}ller", "muller"][..]),
            ("jose", &["José", "Jose\u{301}", "JOSÉ"]),
            ("nguyen", &["Nguyễn", "NGUYỄN", "Nguye\u{302}\u{303}n"]),
            ("strasse", &["Straße", "STRASSE", "STRAẞE", "Straſse"]),
            ("istanbul", &["İstanbul", "I\u{307}stanbul", "ıstanbul", "ISTANBUL", "i\u{307}stanbul"]),
            ("οδυσσευσ", &["Οδυσσεύς", "ΟΔΥΣΣΕΎΣ", "οδυσσευσ"]),
            ("ειμι", &["εἰμί", "ΕἸΜΊ"]),
            ("tanaka", &["Ｔａｎａｋａ", "ＴＡＮＡＫＡ"]),
            ("タナカ", &["ﾀﾅｶ", "タナカ"]),
            ("griffin", &["Griﬃn", "GRIFFIN"]),
            ("dzordz", &["ǅorǆ"]),
            ("o'neil", &["O’Neil", "O‘Neil", "Oʼneil", "O′Neil", "O`Neil", "O´Neil", "O＇Neil", "o'neil"]),
            (
                "smith-jones",
                &["Smith‐Jones", "Smith‑Jones", "Smith–Jones", "Smith—Jones", "Smith－Jones", "Smith−Jones"],
            ),
            ("de la cruz", &["De\u{a0}la\u{202f}Cruz", "De\u{3000}la Cruz"]),
            ("sorensen", &["Sørensen", "SØRENSEN"]),
            ("lukasz", &["Łukasz"]),
            ("dordevic", &["Đorđević"]),
            ("aerosk'obing", &["Ærøsk’øbing"]),
            ("thorsteinsdottir", &["Þorsteinsdóttir"]),
            ("sigurdur", &["Sigurður"]),
            ("lecoeur", &["Lecœur", "LECŒUR"]),
            ("borg hamrun", &["Borġ Ħamrun"]),
            ("eliyev", &["Əliyev"]),
            ("иванои", &["Иванои", "ИВАНОЙ"]),
            ("اب", &["أَب"]),
            ("علیرضا", &["علی\u{200c}رضا"]),
            ("roe", &["Ro\u{ad}e", "\u{202e}Roe\u{202c}", "\u{feff}Roe", "R\u{200b}oe"]),
        ] {
            for spelling in spellings {
                assert_eq!(fold(spelling), folded, "{spelling}");
            }
        }
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [("Meyer", "Maier"), ("Lima", "Limo"), ("O'Neil", "ONeil"), ("Смит", "Смид")]
        {
            assert_ne!(fold(one), fold(other));
        }
    }

    #[test]
    fn every_character_is_equal_to_its_upper_case_its_lower_case_and_its_folded_text() {
        // An iota below a letter is a mark in lower case, and a letter in upper case.
        let has_iota_below = |character: char| {
            DecomposingNormalizer::new_nfd().normalize(&character.to_string()).contains('\u{345}')
        };
        let differs = |character: &char| {
            let folded = fold(&character.to_string());
            let same = |text: String| fold(&text) == folded;
            !same(folded.clone())
                || !same(character.to_lowercase().to_string())
                || !(has_iota_below(*character) || same(character.to_uppercase().to_string()))
        };
        // The planes after these have no letters.
        let different: Vec<char> = ('\0'..='\u{3ffff}').filter(differs).collect();
        assert_eq!(different, ['\0'; 0]);
    }
}

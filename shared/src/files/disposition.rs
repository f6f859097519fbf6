//! `Content-Disposition` of a download.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::base::private::Private;

/// The characters that RFC 8187 wants encoded, and some more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The header's value (RFC 6266): the browser saves the file and never shows it in a page. It has the name twice: the one that all
/// clients understand, without unusual characters, and the exact one.
pub(crate) fn content_disposition(file_name: &Private<String>) -> String {
    let name = file_name.expose();
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ENCODED))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || " .-_()+,".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_break_out_of_the_header() {
        for (name, expected) in [
            ("upper jaw.stl", "attachment; filename=\"upper jaw.stl\"; filename*=UTF-8''upper%20jaw.stl"),
            ("Müller.pdf", "attachment; filename=\"M_ller.pdf\"; filename*=UTF-8''M%C3%BCller.pdf"),
            (
                "a\";x=\"%0d%0a.png",
                "attachment; filename=\"a__x___0d_0a.png\"; filename*=UTF-8''a%22%3Bx%3D%22%250d%250a.png",
            ),
        ] {
            assert_eq!(content_disposition(&Private::new(name.to_owned())), expected);
        }
    }
}

//! Writes CSV whose cells a spreadsheet never runs as formulas.

use crate::{base::error::Error, wire_enum};

wire_enum! {
    /// The file format of an export.
    Format { Csv = "csv", Ndjson = "ndjson" }
}

/// A CSV file under construction. Rows end with CRLF, as RFC 4180 requires.
pub(crate) struct Sheet(Box<csv::Writer<Vec<u8>>>);

impl Sheet {
    pub(crate) fn new() -> Self {
        let mut builder = csv::WriterBuilder::new();
        Self(Box::new(builder.terminator(csv::Terminator::CRLF).from_writer(Vec::new())))
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let cells = cells.into_iter().map(|cell| escape_formulas(cell.as_ref()));
        self.0.write_record(cells).map_err(write_failed)
    }

    /// Returns the text of all rows.
    pub(crate) fn finish(self) -> Result<String, Error> {
        String::from_utf8(self.0.into_inner().map_err(write_failed)?).map_err(write_failed)
    }
}

/// Puts an apostrophe before text that a spreadsheet would read as a formula. OWASP recommends this against CSV
/// injection.
///
/// Some spreadsheets split cells at semicolons, tabs or line breaks, so the text after each of these is checked too.
/// Full-width characters count as well, and white space and quotes before the first character are skipped. Numbers need
/// no apostrophe, because the API has no negative ones.
fn escape_formulas(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for cell in text.split_inclusive(NEW_CELL) {
        if needs_apostrophe(cell, escaped.is_empty()) {
            escaped.push('\'');
        }
        escaped.push_str(cell);
    }
    escaped
}

/// The text of a cell of an export, without the apostrophes that the export has added. A text that had such an apostrophe itself
/// loses it.
pub fn unescape_formulas(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for cell in text.split_inclusive(NEW_CELL) {
        let without = cell.strip_prefix('\'').filter(|rest| needs_apostrophe(rest, plain.is_empty()));
        plain.push_str(without.unwrap_or(cell));
    }
    plain
}

/// What some spreadsheets split cells at.
const NEW_CELL: [char; 4] = [';', '\t', '\r', '\n'];

fn needs_apostrophe(cell: &str, is_first: bool) -> bool {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"').starts_with(FORMULA)
        || is_first && cell.starts_with(['\t', '\r', '\n'])
}

/// The error of an export that cannot be written. It drops the library's message.
pub(crate) fn write_failed(_: impl std::fmt::Display) -> Error {
    Error::internal("an export cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_text() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            (" =1+1", "' =1+1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("\t=1", "'\t'=1"),
            ("\rx", "'\rx"),
            ("x;=HYPERLINK(1)", "x;'=HYPERLINK(1)"),
            ("two\n=1", "two\n'=1"),
            ("x;\"=SUM(A1);y", "x;'\"=SUM(A1);y"),
            ("a\t-1; +2", "a\t'-1;' +2"),
        ] {
            assert_eq!(escape_formulas(text), expected);
        }
        for text in ["Jane Roe", "1=1", "", "'=1", "O'Neil", "left; right", "two\nlines", "a - b"] {
            assert_eq!(escape_formulas(text), text);
        }
    }

    #[test]
    fn reading_a_cell_takes_back_what_writing_has_added() {
        for text in ["=1+1", "a;=b", "\t=x", "\ta", " @x", "O'Neil", "'quoted'", "plain", "", "a\n-b;'c"] {
            assert_eq!(unescape_formulas(&escape_formulas(text)), text, "{text}");
        }
    }
}

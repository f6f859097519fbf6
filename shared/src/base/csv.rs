//! CSV that spreadsheets read without computing any of it.

use crate::{base::error::Error, wire_enum};

wire_enum! {
    /// How a list is written as a file.
    Format { Csv = "csv", Ndjson = "ndjson" }
}

/// Rows that are being written. RFC 4180 wants CRLF at their ends.
pub(crate) struct Sheet(Box<csv::Writer<Vec<u8>>>);

impl Sheet {
    pub(crate) fn new() -> Self {
        let mut builder = csv::WriterBuilder::new();
        Self(Box::new(builder.terminator(csv::Terminator::CRLF).from_writer(Vec::new())))
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let cells = cells.into_iter().map(|cell| harmless(cell.as_ref()));
        self.0.write_record(cells).map_err(unwritten)
    }

    /// The text.
    pub(crate) fn finish(self) -> Result<String, Error> {
        String::from_utf8(self.0.into_inner().map_err(unwritten)?).map_err(unwritten)
    }
}

/// Text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP recommends against CSV
/// injection, and so does what would be one in a cell of its own, where semicolons, tabs or line breaks part the cells. The
/// full-width forms count as well, and neither white space nor quotes before them help. Numbers are not: none of ours is negative.
fn harmless(text: &str) -> String {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    const NEW_CELL: [char; 4] = [';', '\t', '\r', '\n'];
    let mut harmless = String::with_capacity(text.len());
    for cell in text.split_inclusive(NEW_CELL) {
        let is_formula =
            cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"').starts_with(FORMULA);
        let begins_with_a_break = harmless.is_empty() && cell.starts_with(['\t', '\r', '\n']);
        if is_formula || begins_with_a_break {
            harmless.push('\'');
        }
        harmless.push_str(cell);
    }
    harmless
}

/// The message of an error in here names positions and kinds, never content.
pub(crate) fn unwritten(_: impl std::fmt::Display) -> Error {
    Error::internal("an export cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_made_text() {
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
            assert_eq!(harmless(text), expected);
        }
        for text in ["Jane Roe", "1=1", "", "'=1", "O'Neil", "left; right", "two\nlines", "a - b"] {
            assert_eq!(harmless(text), text);
        }
    }
}

//! Exports the cases of a list as CSV or NDJSON, in parts that fit into a response.

use serde_json::{Map, Value};

use super::{Case, CaseLists, fields, filter::CaseFilter};
use crate::{
    base::{
        csv::{Format, Sheet, write_failed},
        error::Error,
        validate::one_of,
    },
    http::{File, MAX_RESPONSE_BYTES, PageRequest, Query, Request, length_in_json},
    telemetry::SecurityEvent,
};

/// The most cases in a part.
const MAX_CASES: u32 = 1000;
/// The number of cases in a part if the request has no limit.
const DEFAULT_CASES: u32 = 500;
/// How many cases are read and written between two checks of the size. The largest have about 60 KB each.
const BATCH: usize = 25;

impl CaseLists<'_> {
    /// Reads the requested part of the export. The parameters are `format`, `limit`, `cursor`, and the filters and order of
    /// lists.
    ///
    /// # Errors
    /// The errors of [`CaseLists::page`].
    pub async fn export(&self, request: &Request) -> Result<File, Error> {
        let mut query = Query::of(request);
        let filter = CaseFilter::read(&mut query, self.user_id());
        let format = query.checked("format", one_of).unwrap_or(Format::Csv);
        let limit = query.number("limit", 1..=MAX_CASES).unwrap_or(DEFAULT_CASES) as usize;
        let cursor = PageRequest::read_cursor(&mut query);
        query.finish()?;
        let mut selection = self.select(&filter, cursor.as_deref(), 0, limit).await?;
        // Only the first part has the names of the columns, so that a client can join the parts to one file.
        let mut writer = Writer::new(format);
        if cursor.is_none() {
            writer.write_names()?;
        }
        let mut shown = Vec::new();
        while let Some(cases) = selection.next(BATCH, |_| Ok(true)).await? {
            cases.iter().try_for_each(|case| writer.write(case))?;
            shown.extend(cases);
            if writer.length >= MAX_RESPONSE_BYTES || !self.has_time_left() {
                break;
            }
        }
        self.record(&filter, &shown).await?;
        self.scopes(&filter)?.iter().for_each(|lab| lab.report(SecurityEvent::Export));
        let next_cursor = self.cursor(&filter, &selection)?;
        Ok(File { format, name: "cases", body: writer.finish()?, next_cursor })
    }
}

/// A file under construction, and its length as a JSON string.
struct Writer {
    text: Text,
    length: usize,
}

enum Text {
    Csv(Sheet),
    Ndjson(String),
}

impl Writer {
    fn new(format: Format) -> Self {
        let text = match format {
            Format::Csv => Text::Csv(Sheet::new()),
            Format::Ndjson => Text::Ndjson(String::new()),
        };
        Self { text, length: 0 }
    }

    /// Writes the names of the columns, if the format has columns.
    fn write_names(&mut self) -> Result<(), Error> {
        match &mut self.text {
            Text::Csv(sheet) => sheet.row(fields::stored()),
            Text::Ndjson(_) => Ok(()),
        }
    }

    fn write(&mut self, case: &Case) -> Result<(), Error> {
        match &mut self.text {
            Text::Csv(sheet) => {
                let Ok(Value::Object(members)) = serde_json::to_value(case) else {
                    return Err(write_failed("a case is not an object"));
                };
                let cells: Vec<String> = fields::stored().map(|name| cell(&members, name)).collect();
                // CSV doubles a quote before JSON escapes both.
                self.length += cells.iter().map(|cell| 2 * length_in_json(cell.as_bytes())).sum::<usize>();
                sheet.row(cells)
            }
            Text::Ndjson(text) => {
                let line = serde_json::to_string(&case.view()).map_err(write_failed)?;
                self.length += length_in_json(line.as_bytes());
                text.push_str(&line);
                text.push('\n');
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<String, Error> {
        match self.text {
            Text::Csv(sheet) => sheet.finish(),
            Text::Ndjson(text) => Ok(text),
        }
    }
}

/// The text of a cell for a member of a case.
fn cell(members: &Map<String, Value>, name: &str) -> String {
    match members.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

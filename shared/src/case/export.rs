//! Exports: the cases of a list as CSV or NDJSON, in parts that fit into an answer.

use serde_json::{Map, Value};

use super::{Case, CaseLists, filter::CaseFilter};
use crate::{
    error::Error,
    http::{ENOUGH, Query, Request, length_in_json},
    spreadsheet::{Format, Sheet, unwritten},
    validate::choice,
};

/// The most cases of a part.
const MOST: u32 = 1000;
/// The cases of a part if the request does not say.
const USUAL: u32 = 500;
/// How many cases are read and written before the size is looked at; the largest are about 60 KB each.
const STEP: usize = 25;

/// The columns of CSV: the members of a case, as JSON has them. Objects and lists stand in their cells as JSON.
const COLUMNS: &[&str] = &[
    "id",
    "lab_id",
    "case_number",
    "version",
    "status",
    "patient_name",
    "procedure_type",
    "case_type",
    "case_name",
    "description",
    "notes",
    "special_instructions",
    "priority",
    "rush_order",
    "due_date",
    "earliest_due_date",
    "doctor_id",
    "product_id",
    "assigned_to",
    "patient_info",
    "fixed_prosthetic",
    "denture",
    "night_guard",
    "implant",
    "remake_of",
    "remake_reason_code",
    "remakes",
    "created_by",
    "created_at",
    "updated_at",
    "status_changed_at",
    "completed_at",
    "shipped_at",
    "delivered_at",
    "deleted_at",
    "deleted_by",
];

/// A part of an export.
pub struct Export {
    /// How it is written.
    pub format: Format,
    /// The text.
    pub body: String,
    /// Leads to the next part.
    pub next_cursor: Option<String>,
}

impl CaseLists<'_> {
    /// The part of the export that the request asks for: `format`, `limit`, `cursor`, and the filters and order of lists.
    ///
    /// # Errors
    /// Those of [`CaseLists::page`].
    pub async fn export(&self, request: &Request) -> Result<Export, Error> {
        let mut query = Query::of(request);
        let filter = CaseFilter::read(&mut query, self.user_id());
        let format = query.checked("format", choice).unwrap_or(Format::Csv);
        let limit = query.number("limit", 1..=MOST).unwrap_or(USUAL) as usize;
        let cursor = query.text("cursor");
        query.finish()?;
        let mut selection = self.select(&filter, cursor.as_deref(), 0, limit).await?;
        // Only the first part has the names, so that the parts make one file.
        let mut writer = Writer::new(format, cursor.is_none())?;
        let mut shown = Vec::new();
        while let Some(cases) = selection.next(STEP, usize::MAX).await? {
            cases.iter().try_for_each(|case| writer.write(case))?;
            shown.extend(cases);
            if writer.length >= ENOUGH {
                break;
            }
        }
        self.record(&filter, &shown).await?;
        Ok(Export { format, body: writer.finish()?, next_cursor: self.cursor(&filter, &selection) })
    }
}

/// Text that is being written, and its length as a JSON string.
struct Writer {
    text: Text,
    length: usize,
}

enum Text {
    Csv(Sheet),
    Ndjson(String),
}

impl Writer {
    fn new(format: Format, with_names: bool) -> Result<Self, Error> {
        if format == Format::Ndjson {
            return Ok(Self { text: Text::Ndjson(String::new()), length: 0 });
        }
        let mut sheet = Sheet::new();
        if with_names {
            sheet.row(COLUMNS)?;
        }
        Ok(Self { text: Text::Csv(sheet), length: 0 })
    }

    fn write(&mut self, case: &Case) -> Result<(), Error> {
        match &mut self.text {
            Text::Csv(sheet) => {
                let Ok(Value::Object(members)) = serde_json::to_value(case) else {
                    return Err(unwritten("a case is no object"));
                };
                let cells: Vec<String> = COLUMNS.iter().map(|name| cell(&members, name)).collect();
                // CSV doubles a quote before JSON escapes both.
                self.length += cells.iter().map(|cell| 2 * length_in_json(cell.as_bytes())).sum::<usize>();
                sheet.row(cells)
            }
            Text::Ndjson(text) => {
                let line = serde_json::to_string(&case.view()).map_err(unwritten)?;
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

/// A member of a case as the text of a cell.
fn cell(members: &Map<String, Value>, name: &str) -> String {
    match members.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

//! Imports cases: reads all rows, then writes the cases that do not exist yet, in batches and in parallel. A run that was killed
//! is simply started again: what it has written is skipped.

pub mod folder;
mod source;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    time::Duration,
};

use futures_util::future::try_join_all;
use shared::{
    base::{CaseId, LabId, calendar::Calendar},
    case::{
        import::{ImportedCase, Importer, RowReader, SetAside},
        repair::Mode,
    },
    config::ImportConfig,
};
use tokio::time::Instant;

pub use source::{Source, SourceRow};

use crate::{export::private_file, failed, patiently};

/// The time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table and the keys.
    pub config: ImportConfig,
    /// Where the cases come from.
    pub source: Source,
    /// Whether to write.
    pub mode: Mode,
    /// The labs' short codes, for the numbers of cases.
    pub lab_codes: BTreeMap<LabId, String>,
}

/// What an import has done, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows of the source.
    pub rows: u64,
    /// Labs with cases.
    pub labs: u64,
    /// Cases written by this run.
    pub written: u64,
    /// Cases that an earlier run has written.
    pub existing: u64,
    /// What was not imported, with the reason.
    pub set_aside: Vec<SetAside>,
}

impl Report {
    /// The number of cases that were not imported.
    pub fn cases_set_aside(&self) -> usize {
        self.set_aside.iter().filter(|aside| aside.field.is_none()).count()
    }

    /// The report as text, without patient data.
    pub fn text(&self) -> String {
        let cases = self.cases_set_aside() as u64;
        let lines = [
            (self.rows, "rows read"),
            (self.labs, "labs"),
            (self.written, "cases written"),
            (self.existing, "cases that an earlier run has written"),
            (cases, "cases set aside"),
            (self.set_aside.len() as u64 - cases, "values of other cases set aside"),
        ];
        lines.iter().map(|(count, what)| format!("{count:>10} {what}\n")).collect()
    }

    /// Writes what was set aside into a file that only its owner can read: a JSON object in each line.
    ///
    /// # Errors
    /// The text says why the file cannot be written.
    pub fn write_set_aside(&self, path: &Path) -> Result<(), String> {
        let mut file = private_file(path)?;
        for aside in &self.set_aside {
            let line = serde_json::to_string(aside).map_err(|error| error.to_string())?;
            writeln!(file, "{line}").map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Imports the cases. Calls `progress` now and then with a line of text.
///
/// # Errors
/// The text says what failed. What is written stays, and another run goes on.
pub async fn run(options: &Options, progress: impl Fn(String)) -> Result<Report, String> {
    let rows = options.source.rows()?;
    let mut report = Report { rows: rows.len() as u64, ..Report::default() };
    let cases = read(options, rows, &mut report);
    report.labs = cases.len() as u64;
    let of: usize = cases.values().map(BTreeMap::len).sum();
    let importer = Importer::new(&options.config.data, options.mode)?;
    let mut batches = Vec::new();
    for (lab, cases) in cases {
        if let Some(last) = cases.keys().next_back() {
            importer.reserve(lab, *last).await.map_err(|error| failed(&error))?;
        }
        let mut cases: Vec<ImportedCase> = cases.into_values().collect();
        while !cases.is_empty() {
            let rest = cases.split_off(cases.len().min(Importer::BATCH));
            batches.push((lab, std::mem::replace(&mut cases, rest)));
        }
    }
    let (batches, report) = (RefCell::new(batches.into_iter()), RefCell::new(report));
    let (started, last) = (Instant::now(), Cell::new(Instant::now()));
    try_join_all((0..Importer::WORKERS).map(async |worker| {
        loop {
            let Some((lab, cases)) = batches.borrow_mut().next() else { return Ok::<_, String>(()) };
            let result = patiently(|| importer.write(worker, lab, &cases)).await?;
            let mut report = report.borrow_mut();
            report.written += result.written;
            report.existing += result.existing;
            report.set_aside.extend(result.taken.into_iter().map(|id| SetAside {
                lab_id: Some(lab),
                id: Some(id),
                field: None,
                reason: "another case of the lab has this id".to_owned(),
            }));
            let done = report.written + report.existing;
            if last.get().elapsed() >= PROGRESS || done == of as u64 {
                last.set(Instant::now());
                progress(format!("{done} of {of} cases, {} s", started.elapsed().as_secs()));
            }
        }
    }))
    .await?;
    Ok(report.into_inner())
}

/// The cases of the rows, by lab and id.
fn read(
    options: &Options,
    rows: Vec<SourceRow>,
    report: &mut Report,
) -> BTreeMap<LabId, BTreeMap<CaseId, ImportedCase>> {
    let reader = RowReader {
        lab_codes: options.lab_codes.clone(),
        calendar: Calendar::new(options.config.holidays.clone()),
    };
    let mut cases = BTreeMap::<LabId, BTreeMap<CaseId, ImportedCase>>::new();
    let mut doubled = BTreeSet::new();
    for row in rows {
        let row = reader.read(row);
        report.set_aside.extend(row.set_aside);
        let Some(case) = row.case else { continue };
        let (lab, id) = case.key();
        // Nothing says which of them is right.
        if cases.entry(lab).or_default().insert(id, case).is_some() {
            doubled.insert((lab, id));
        }
    }
    for (lab, id) in doubled {
        cases.entry(lab).or_default().remove(&id);
        let reason = "several rows have this id".to_owned();
        report.set_aside.push(SetAside { lab_id: Some(lab), id: Some(id), field: None, reason });
    }
    cases
}

//! Checks the data of a lab, and mends it.

use std::{cell::Cell, time::Duration};

use shared::{
    base::{LabId, wire_enum::WireEnum},
    case::repair::{Mode, Repair, RepairReport},
    config::VerificationConfig,
};
use tokio::time::Instant;

use crate::failed;

/// The time between two lines of progress.
const REPORT: Duration = Duration::from_secs(2);

/// Checks a lab, and mends it in [`Mode::Write`]. Calls `progress` now and then with a line of text.
///
/// # Errors
/// The text says what failed.
pub async fn run(
    config: &VerificationConfig,
    lab: LabId,
    mode: Mode,
    progress: impl Fn(String),
) -> Result<RepairReport, String> {
    let repair = Repair::new(config, mode)?;
    let last = Cell::new(Instant::now());
    let report = repair.run(lab, |done, of| {
        if last.get().elapsed() >= REPORT || done == of {
            last.set(Instant::now());
            progress(format!("{done} of {of} cases checked"));
        }
    });
    report.await.map_err(|error| failed(&error))
}

/// The report as text: counts, and each fault with its place.
pub fn text(report: &RepairReport, mode: Mode) -> String {
    let mut text = String::new();
    for (count, what) in [
        (report.live, "live cases"),
        (report.deleted, "deleted cases"),
        (report.disposed, "cases after the end of their retention"),
        (report.events, "events"),
        (report.log_entries, "entries of the change log"),
        (report.words, "words"),
        (report.faults.len() as u64, "faults"),
    ] {
        text += &format!("{count:>10} {what}\n");
    }
    for fault in &report.faults {
        let state = match (fault.is_mended, mode) {
            (false, _) => "cannot be mended",
            (true, Mode::Write) => "mended",
            (true, Mode::DryRun) => "can be mended",
        };
        text += &format!("{} {}: {} ({state})\n", fault.kind.as_str(), fault.place, fault.detail);
    }
    text
}

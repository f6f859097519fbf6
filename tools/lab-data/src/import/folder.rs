//! Imports a folder of `make export-lab`: the files of the cases, and exactly the same items, with their histories and audit records. A run that was killed is
//! started again; items that are already there and equal are no fault, others are.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use shared::{
    case::repair::Mode,
    config::LabDataConfig,
    lab_data::{LabData, Part},
};

use crate::{
    attachments,
    export::{Manifest, file_name, sha256},
    failed, patiently,
};

/// How many items are written at a time.
const BATCH: usize = 100;

/// Imports the lab of a folder. Returns the manifest, and how many items were missing.
///
/// # Errors
/// The text says what failed; among others, a file that is not the exported one, and other data of the lab.
pub async fn run(
    config: &LabDataConfig,
    folder: &Path,
    mode: Mode,
    progress: impl Fn(String),
) -> Result<(Manifest, u64), String> {
    let manifest = Manifest::read(folder)?;
    attachments::check(&manifest, folder)?;
    let data = LabData::new(config, manifest.lab_id)?;
    let mut missing = BTreeMap::<(bool, String), Vec<u8>>::new();
    for (kind, summary) in &manifest.files {
        let path = folder.join(file_name(kind));
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if sha256(&text) != summary.sha256 {
            return Err(format!("{} is not the file that was exported", path.display()));
        }
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let sk =
                sort_key(line).ok_or_else(|| format!("{} has a line without a sort key", path.display()))?;
            let is_audit = part_of(kind, &sk) == Part::Audit;
            missing.insert((is_audit, sk), line.to_vec());
        }
    }
    for part in Part::ALL {
        let read = data.read(part, |line| match missing.remove(&(part == Part::Audit, line.sk)) {
            Some(same) if attachments::are_same(&same, &line.json) => Ok(()),
            _ => Err("the lab has other data already".to_owned()),
        });
        read.await.map_err(|error| failed(&error))?;
    }
    let of = missing.len() as u64;
    if mode == Mode::Write {
        attachments::import(&data, &manifest, &mut missing, folder).await?;
        let mut done = 0;
        for part in Part::ALL {
            let of_part = missing.iter().filter(|((is_audit, _), _)| *is_audit == (part == Part::Audit));
            let lines: Vec<Vec<u8>> = of_part.map(|(_, line)| line.clone()).collect();
            for lines in lines.chunks(BATCH) {
                patiently(|| data.write(part, lines)).await?;
                done += lines.len();
                if done % 5000 < BATCH {
                    progress(format!("{done} of {of} items"));
                }
            }
        }
    }
    Ok((manifest, of))
}

/// Audit records of earlier releases are in the table of cases, and their sort keys begin with `ACCESS#`.
fn part_of(kind: &str, sk: &str) -> Part {
    if kind == "audit_records" && !sk.starts_with("ACCESS#") { Part::Audit } else { Part::Cases }
}

fn sort_key(line: &[u8]) -> Option<String> {
    let item: Value = serde_json::from_slice(line).ok()?;
    item.get("sk")?.as_str().map(str::to_owned)
}

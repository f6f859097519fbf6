//! Destroys the data of a lab in two steps. The first one reads everything and prints a plan with a code, which follows from the
//! counts and hashes. The second one needs the code, so it destroys what the plan has shown, and writes a certificate.

use std::{collections::BTreeSet, fs, io::Write, path::Path};

use serde::{Deserialize, Serialize};
use shared::{
    base::{LabId, time::Timestamp},
    config::LabDataConfig,
    lab_data::{LabData, Part},
};

use crate::{
    export::{Manifest, private_file, sha256, summarize},
    failed, patiently,
};

/// What remains after the destruction, for the certificate.
const REMAINS: [&str; 3] = [
    "The archive keeps its copies of audit records, and of events without their values, until the end of their Object Lock. Nobody can delete them before.",
    "Point-in-time recovery can restore both tables to a time before the destruction for 35 days. Backups that were made apart from it are not affected.",
    "Files of exports are not affected.",
];

/// The proof of a destruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The lab.
    pub lab_id: LabId,
    /// The code of the plan.
    pub code: String,
    /// The destroyed items: counts and hashes.
    pub destroyed: Manifest,
    /// Who confirmed the plan.
    pub confirmed_by: String,
    /// When the destruction began.
    pub began_at: Timestamp,
    /// When the tables had no item of the lab any more. `None` if it was not finished.
    pub finished_at: Option<Timestamp>,
    /// What is left elsewhere.
    pub remains: Vec<String>,
}

/// Reads everything, and returns what would be destroyed, and the code that confirms it.
///
/// # Errors
/// The text says what failed.
pub async fn plan(config: &LabDataConfig, lab: LabId) -> Result<(Manifest, String), String> {
    let manifest = summarize(config, lab, None).await?;
    if manifest.files.is_empty() {
        return Err("the lab has no data".to_owned());
    }
    let code = code(&manifest)?;
    Ok((manifest, code))
}

/// Destroys the data of a lab, if the code is that of a plan of the data as it is now. After a run that was killed, the same code
/// and certificate finish it.
///
/// # Errors
/// The text says what failed. Data may be left; another run goes on.
pub async fn run(
    config: &LabDataConfig,
    lab: LabId,
    code: &str,
    confirmed_by: &str,
    certificate: &Path,
) -> Result<Certificate, String> {
    let begun = fs::read_to_string(certificate).ok();
    let begun = begun.and_then(|text| serde_json::from_str::<Certificate>(&text).ok());
    let mut proof = match begun {
        Some(begun) if begun.lab_id == lab && begun.code == code && begun.finished_at.is_none() => begun,
        Some(_) => {
            return Err(format!("{} is the certificate of another destruction", certificate.display()));
        }
        None => {
            let (destroyed, expected) = plan(config, lab).await?;
            if expected != code {
                return Err(
                    "CONFIRM is not the code of the data as it is now: look at the plan again".to_owned()
                );
            }
            let began_at = Timestamp::now();
            let (code, confirmed_by) = (code.to_owned(), confirmed_by.to_owned());
            let remains = REMAINS.map(str::to_owned).to_vec();
            Certificate { lab_id: lab, code, destroyed, confirmed_by, began_at, finished_at: None, remains }
        }
    };
    proof.write(certificate)?;
    let data = LabData::new(config, lab)?;
    patiently(|| data.delete_files()).await?;
    for part in Part::ALL {
        loop {
            let mut sks = BTreeSet::new();
            let read = data.read(part, |line| {
                sks.insert(line.sk);
                Ok(())
            });
            read.await.map_err(|error| failed(&error))?;
            // Read again after the deletion, because a request could have written meanwhile.
            if sks.is_empty() {
                break;
            }
            patiently(|| data.delete(part, sks.clone())).await?;
        }
    }
    proof.finished_at = Some(Timestamp::now());
    proof.write(certificate)?;
    Ok(proof)
}

impl Certificate {
    fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        let mut file = private_file(path)?;
        writeln!(file, "{text}").map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The code of a plan: the beginning of the hash of the lab and all counts and hashes.
fn code(manifest: &Manifest) -> Result<String, String> {
    let counted = (manifest.lab_id, &manifest.files, &manifest.attachments);
    let text = serde_json::to_string(&counted).map_err(|error| error.to_string())?;
    Ok(sha256(text.as_bytes())[..12].to_owned())
}

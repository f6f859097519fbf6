//! Writes all data of a lab into a folder: a file for each kind of item, with a line of JSON for each item, the files of the cases, and
//! a manifest with the counts and the hashes. `import::folder` writes the same items again.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use shared::{
    base::{LabId, time::Timestamp},
    config::LabDataConfig,
    lab_data::{LabData, Part},
};

use crate::{attachments, failed};

/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// What an export has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The lab.
    pub lab_id: LabId,
    /// When the export began.
    pub exported_at: Timestamp,
    /// The files, by the kind of their items.
    pub files: BTreeMap<String, FileSummary>,
    /// The files of cases, by their names in the folder `attachments`. An export has those without malware.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attachments: BTreeMap<String, AttachmentSummary>,
}

/// A file of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentSummary {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the content, in hexadecimal; empty in the plan of a destruction, which does not read it.
    pub sha256: String,
}

/// A file of an export, or what it would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// The number of items.
    pub items: u64,
    /// SHA-256 of the file, in hexadecimal: of each item as canonical JSON with a line break, in the order of sort keys.
    pub sha256: String,
}

/// A file that is being written, or only hashed.
struct Output {
    file: Option<BufWriter<File>>,
    hash: Context,
    items: u64,
}

/// The name of the file with the items of a kind.
pub(crate) fn file_name(kind: &str) -> String {
    format!("{kind}.ndjson")
}

/// A new file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| format!("{}: {error}", path.display()))
}

/// Exports a lab into a folder, which must not exist.
///
/// # Errors
/// The text says what failed; among others, requests that changed the lab meanwhile.
pub async fn run(config: &LabDataConfig, lab: LabId, folder: &Path) -> Result<Manifest, String> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let manifest = summarize(config, lab, Some(folder)).await?;
    let mut file = private_file(&folder.join(MANIFEST))?;
    let text = serde_json::to_string_pretty(&manifest).map_err(|error| error.to_string())?;
    writeln!(file, "{text}").map_err(|error| error.to_string())?;
    Ok(manifest)
}

/// Counts and hashes all items of a lab, and writes them into a folder if there is one.
pub(crate) async fn summarize(
    config: &LabDataConfig,
    lab: LabId,
    folder: Option<&Path>,
) -> Result<Manifest, String> {
    let exported_at = Timestamp::now();
    let data = LabData::new(config, lab)?;
    let before = data.last_changes().await.map_err(|error| failed(&error))?;
    let mut outputs = BTreeMap::<&str, Output>::new();
    let mut readable = Vec::new();
    for part in Part::ALL {
        let read = data.read(part, |line| {
            let output = match outputs.entry(line.kind) {
                std::collections::btree_map::Entry::Occupied(output) => output.into_mut(),
                std::collections::btree_map::Entry::Vacant(kind) => {
                    let path = folder.map(|folder| folder.join(file_name(line.kind)));
                    let file = path.map(|path| private_file(&path)).transpose()?.map(BufWriter::new);
                    kind.insert(Output { file, hash: Context::new(&SHA256), items: 0 })
                }
            };
            if line.kind == "attachments" {
                readable.extend(attachments::readable(&line.json));
            }
            let mut text = line.json;
            text.push(b'\n');
            output.items += 1;
            output.hash.update(&text);
            output
                .file
                .as_mut()
                .map_or(Ok(()), |file| file.write_all(&text))
                .map_err(|error| error.to_string())
        });
        read.await.map_err(|error| failed(&error))?;
    }
    if data.last_changes().await.map_err(|error| failed(&error))? != before {
        return Err("requests have changed the lab meanwhile: end its memberships in UMS first".to_owned());
    }
    let mut files = BTreeMap::new();
    for (kind, mut output) in outputs {
        output.file.as_mut().map_or(Ok(()), Write::flush).map_err(|error| error.to_string())?;
        let sha256 = hexadecimal(output.hash.finish().as_ref());
        files.insert(kind.to_owned(), FileSummary { items: output.items, sha256 });
    }
    let attachments = match folder {
        Some(folder) => attachments::export(&data, &readable, folder).await?,
        None => attachments::all(&data).await?,
    };
    Ok(Manifest { lab_id: lab, exported_at, files, attachments })
}

impl Manifest {
    /// Reads the manifest of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|_| format!("{} is not a manifest", path.display()))
    }

    /// The counts as text.
    pub fn text(&self) -> String {
        let line = |(kind, file): (&String, &FileSummary)| {
            format!("{:>10} {kind}, SHA-256 {}\n", file.items, file.sha256)
        };
        let mut text: String = self.files.iter().map(line).collect();
        if !self.attachments.is_empty() {
            let bytes: u64 = self.attachments.values().map(|file| file.bytes).sum();
            text += &format!("{:>10} files of cases, {bytes} bytes\n", self.attachments.len());
        }
        text
    }
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256(text: &[u8]) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&SHA256, text).as_ref())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

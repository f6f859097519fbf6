//! The files of cases in an export: in the folder `attachments`, with the names that they have in the store.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;
use shared::lab_data::LabData;

use crate::{
    export::{AttachmentSummary, Manifest, hexadecimal, private_file},
    failed, patiently,
};

/// The folder of the files.
const FOLDER: &str = "attachments";
/// The beginning of the sort keys of files.
const PREFIX: &str = "FILE#";
/// The version of a file in the store. It is another one in each store.
const VERSION_ID: &str = "version_id";

/// A file that can be read: its name and its size.
pub(crate) struct Readable {
    name: String,
    size: u64,
}

/// The file of an item, if nothing was found in it. The store lets nobody read the others.
pub(crate) fn readable(item: &[u8]) -> Option<Readable> {
    let item: Value = serde_json::from_slice(item).ok()?;
    let name = name(&item)?;
    (item.get("state")?.as_str()? == "clean").then_some(Readable { name, size: item.get("size")?.as_u64()? })
}

fn name(item: &Value) -> Option<String> {
    Some(format!("case={}/{}", item.get("case_id")?.as_u64()?, item.get("id")?.as_str()?))
}

/// Copies these files from the store into the folder.
pub(crate) async fn export(
    data: &LabData,
    files: &[Readable],
    folder: &Path,
) -> Result<BTreeMap<String, AttachmentSummary>, String> {
    let mut summaries = BTreeMap::new();
    for Readable { name, size } in files {
        let path = path(folder, name);
        let parent = path.parent().unwrap_or(folder);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| format!("{}: {error}", parent.display()))?;
        let (mut file, mut hash) = (private_file(&path)?, Context::new(&SHA256));
        let read = data.read_file(name, *size, |block| {
            hash.update(block);
            file.write_all(block).map_err(|error| error.to_string())
        });
        read.await.map_err(|error| failed(&error))?;
        let sha256 = hexadecimal(hash.finish().as_ref());
        summaries.insert(name.clone(), AttachmentSummary { bytes: *size, sha256 });
    }
    Ok(summaries)
}

/// All files of the lab in the store.
pub(crate) async fn all(data: &LabData) -> Result<BTreeMap<String, AttachmentSummary>, String> {
    let files = data.files().await.map_err(|error| failed(&error))?;
    let summary = |bytes| AttachmentSummary { bytes, sha256: String::new() };
    Ok(files.into_iter().map(|(name, bytes)| (name, summary(bytes))).collect())
}

/// Checks that the files in the folder are those that were exported.
pub(crate) fn check(manifest: &Manifest, folder: &Path) -> Result<(), String> {
    for (name, summary) in &manifest.attachments {
        let path = path(folder, name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let (mut file, mut hash) = (File::open(&path).map_err(failed)?, Context::new(&SHA256));
        let mut block = vec![0; 1 << 20];
        loop {
            match file.read(&mut block).map_err(failed)? {
                0 => break,
                read => hash.update(&block[..read]),
            }
        }
        if hexadecimal(hash.finish().as_ref()) != summary.sha256 {
            return Err(format!("{} is not the file that was exported", path.display()));
        }
    }
    Ok(())
}

/// Puts the files of the missing items into the store, and their new versions into the items.
pub(crate) async fn import(
    data: &LabData,
    manifest: &Manifest,
    missing: &mut BTreeMap<(bool, String), Vec<u8>>,
    folder: &Path,
) -> Result<(), String> {
    for ((_, sk), line) in missing.iter_mut().filter(|((is_audit, _), _)| !is_audit) {
        if !sk.starts_with(PREFIX) {
            continue;
        }
        let mut item: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let name = name(&item).ok_or_else(|| format!("{sk} is not a file"))?;
        let Some(summary) = manifest.attachments.get(&name) else { continue };
        let content_type = item["content_type"].as_str().unwrap_or_default().to_owned();
        let (path, sum) = (path(folder, &name), (summary.bytes, summary.sha256.as_str()));
        let version = patiently(|| data.write_file(&name, sum, &content_type, &path)).await?;
        if let Some(members) = item.as_object_mut() {
            members.remove(VERSION_ID);
            members.extend(version.map(|version| (VERSION_ID.to_owned(), Value::String(version))));
        }
        *line = serde_json::to_vec(&item).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether two items are the same. The version of a file in the store does not count.
pub(crate) fn are_same(exported: &[u8], found: &[u8]) -> bool {
    let item = |line: &[u8]| {
        let mut item: Value = serde_json::from_slice(line).unwrap_or_default();
        if item["sk"].as_str().is_some_and(|sk| sk.starts_with(PREFIX))
            && let Some(members) = item.as_object_mut()
        {
            members.remove(VERSION_ID);
        }
        item
    };
    exported == found || item(exported) == item(found)
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(FOLDER).join(name)
}

//! The end of files: with their case, and of files that were not completed in time.

use std::time::Instant;

use serde_json::{Map, Value};

use super::{FileState, storage};
use crate::{
    base::{AttachmentId, CaseId, LabId, error::Error},
    files::{FileStore, case_prefix, object_key},
    table::{Query, Retry, Table, keys},
};

/// Deletes all files of a case, first in the store. Returns whether all are deleted; otherwise the deadline came first, and a
/// repetition continues.
///
/// # Errors
/// Unavailable, when the database or the store fails. A repetition continues.
pub(in crate::case) async fn remove_all(
    table: &Table,
    store: &FileStore,
    lab: LabId,
    case: CaseId,
    deadline: Instant,
) -> Result<bool, Error> {
    let (from, to) = keys::files(case);
    let files = Query { attributes: &["sk"], ..Query::of_table(from, to).consistent() };
    let sks: Vec<String> = table
        .query_all(lab, files)
        .await?
        .into_iter()
        .filter_map(|item| item.get("sk")?.as_s().ok().cloned())
        .collect();
    if sks.is_empty() {
        return Ok(true);
    }
    if !store.delete_all(&case_prefix(lab, case), deadline).await? {
        return Ok(false);
    }
    for sk in sks {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        storage::release(table, lab, &sk, Retry::until(deadline), None).await?;
    }
    Ok(true)
}

/// Removes a file whose upload has expired: what the store has of it, and its item. `upload` is the removed item. A completed file
/// stays. Returns whether it is done; otherwise the deadline came first, and a repetition continues.
///
/// # Errors
/// Unavailable, when the database or the store fails. A repetition continues.
pub(crate) async fn end_upload(
    table: &Table,
    store: &FileStore,
    (lab, case, id): (LabId, CaseId, &AttachmentId),
    upload: &Map<String, Value>,
    deadline: Instant,
) -> Result<bool, Error> {
    let sk = keys::file(case, id.as_str());
    let item = table.get(lab, &sk).await?;
    let state = item.as_ref().and_then(|item| item.get("state")?.as_s().ok());
    if state.is_some_and(|state| state != "pending") {
        return Ok(true);
    }
    // The upload is gone, so nobody can complete the file any more.
    let key = object_key(lab, case, id);
    if let Some(upload_id) = upload.get("upload_id").and_then(Value::as_str) {
        store.abort_parts(&key, upload_id).await?;
    }
    // The item goes last: without it nothing would tell of an object that is still there.
    if !store.delete_all(&key, deadline).await? {
        return Ok(false);
    }
    storage::release(table, lab, &sk, Retry::until(deadline), Some(FileState::Pending)).await?;
    Ok(true)
}

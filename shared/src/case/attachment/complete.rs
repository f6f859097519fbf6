//! Completes a file: it is in the store as it was announced. From now on it belongs to the case.

use tokio::sync::OnceCell;

use super::{Attachment, FileState, StoredAttachment, Upload, change, removed, state_change};
use crate::{
    base::{
        AttachmentId, CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    case::{Cases, change_set::ChangeSet, event::Action, write::Shards},
    files::{FileStore, StoredObject, base64_of, composite, part_sizes},
    table::{Attempt, keys, text},
};

impl Cases<'_> {
    /// Completes a file. A completed one stays as it is.
    ///
    /// # Errors
    /// Case not found; attachment not found; attachment removed; upload incomplete; upload mismatch; conflict; unavailable.
    pub async fn complete_attachment(
        &self,
        id: CaseId,
        attachment_id: &AttachmentId,
    ) -> Result<Attachment, Error> {
        let sks = [
            keys::case(id),
            keys::file(id, attachment_id.as_str()),
            keys::upload(id, attachment_id.as_str()),
        ];
        let object = OnceCell::new();
        self.write(|| async {
            let mut snapshot = self.read_for_write(sks.to_vec(), Shards::Any).await?;
            let case = snapshot.live(id, None)?;
            let before = snapshot.attachment(id, attachment_id)?;
            if before.attachment.removed.is_some() {
                return Err(removed());
            }
            if before.attachment.state != FileState::Pending.into() {
                self.lab.recorder().record_granted(vec![id]).await?;
                return Ok(Attempt::Done(before.attachment));
            }
            let upload = snapshot.upload(id, attachment_id)?;
            // Once for all attempts: the store has one version of a file.
            let check = || async {
                let key = before.attachment.object_key(self.lab.lab_id());
                complete_object(self.lab.files()?, &key, &before.attachment, &upload).await
            };
            let object: &StoredObject = object.get_or_try_init(check).await?;
            let after = case.case.next_version();
            let completed = completed(&before, object, after.updated_at);
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add_of_part(Action::FileAdded, &case, &after, change(None, Some(&completed)))?;
            let mut of_file = state_change(&completed)?;
            if let Some(version_id) = &object.version_id {
                of_file.set("version_id", text(version_id.clone()));
            }
            changes.update(&completed.sk(), before.update(of_file))?;
            changes.delete(&sks[2], upload.version)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.commit(completed)
        })
        .await
    }
}

/// The file after its completion. A result of a scan can have come before: the scanner does not wait for it.
fn completed(before: &StoredAttachment, object: &StoredObject, at: Timestamp) -> Attachment {
    let early = before.internals.scan.as_ref();
    let early = early.filter(|scan| is_same_version(&scan.version_id, &object.version_id));
    Attachment {
        state: early.map_or(FileState::Scanning.into(), |scan| scan.state.clone()),
        completed_at: Some(at),
        scanned_at: early.map(|_| at),
        ..before.attachment.clone()
    }
}

/// Whether two versions of an object are the same. A store without versions says nothing or `null`.
pub(super) fn is_same_version(one: &Option<String>, other: &Option<String>) -> bool {
    let version = |id: &Option<String>| id.clone().filter(|id| id != "null");
    version(one) == version(other)
}

/// Puts the parts of the object together, if it has parts, and compares the object with the announcement.
async fn complete_object(
    store: &FileStore,
    key: &str,
    announced: &Attachment,
    upload: &Upload,
) -> Result<StoredObject, Error> {
    let mut object = store.head(key).await?;
    let expected = match &upload.upload_id {
        None => base64_of(&announced.sha256)?,
        Some(upload_id) => {
            if object.is_none()
                && let Some(parts) = store.parts(key, upload_id).await?
            {
                let sizes: Vec<u64> = parts.iter().map(|part| part.size).collect();
                let is_whole = (1..).zip(&parts).all(|(number, part)| part.number == number)
                    && sizes == part_sizes(announced.size);
                if !is_whole {
                    return Err(incomplete());
                }
                store.complete_parts(key, upload_id, parts, &upload.part_sha256).await?;
                object = store.head(key).await?;
            }
            composite(&upload.part_sha256)?
        }
    };
    let object = object.ok_or_else(incomplete)?;
    let is_announced = object.size == announced.size
        && object.content_type.as_deref() == Some(announced.content_type.as_str())
        && object.sha256.as_deref() == Some(expected.as_str());
    if !is_announced {
        let detail = "The store has another file than was announced. Announce it again.";
        return Err(Error::new(ErrorCode::UploadMismatch, detail));
    }
    Ok(object)
}

fn incomplete() -> Error {
    Error::new(ErrorCode::UploadIncomplete, "The store does not have the whole file. Send what is missing.")
}

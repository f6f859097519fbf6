//! Reads a file: its data, and the URL that downloads it.

use std::time::Duration;

use serde::Serialize;

use super::{Attachment, FileState, StoredAttachment};
use crate::{
    base::{AttachmentId, CaseId, error::Error, time::Timestamp},
    case::Cases,
    files::content_disposition,
    table::{Consistency, keys},
};

/// How long the URL is valid.
const VALID: Duration = Duration::from_secs(5 * 60);

/// A file, and the URL that downloads it.
#[derive(Serialize)]
pub struct AttachmentDownload {
    attachment: Attachment,
    download: Option<Download>,
}

/// A URL that downloads a file.
#[derive(Serialize)]
struct Download {
    url: String,
    expires_at: Timestamp,
}

impl Cases<'_> {
    /// Reads a file. Only a file in which the scan found nothing, and that was not removed, has a URL.
    ///
    /// # Errors
    /// Case not found; attachment not found; unavailable.
    pub async fn attachment(
        &self,
        id: CaseId,
        attachment_id: &AttachmentId,
    ) -> Result<AttachmentDownload, Error> {
        let sks = [keys::case(id), keys::file(id, attachment_id.as_str())];
        let read = self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong, self.lab.retry());
        let record = self.lab.recorder().record_granted(vec![id]);
        let (items, recorded) = tokio::join!(read, record);
        let mut items = items?;
        // If the lab does not have the case or the file, another record of the request says so.
        items.remove(&sks[0]).ok_or_else(Error::case_not_found)?;
        let item = items.remove(&sks[1]).ok_or_else(Error::attachment_not_found)?;
        let StoredAttachment { attachment, internals } = StoredAttachment::from_item(item)?;
        recorded?;
        let is_readable = attachment.state == FileState::Clean.into() && attachment.removed.is_none();
        let download = match is_readable {
            false => None,
            true => {
                let store = self.lab.files()?;
                let key = attachment.object_key(self.lab.lab_id());
                let expires_at = Timestamp::now().plus(VALID);
                let disposition = content_disposition(&attachment.file_name);
                let version_id = internals.version_id.as_deref();
                let url = store.sign_get(&key, version_id, disposition, VALID).await?;
                Some(Download { url, expires_at })
            }
        };
        Ok(AttachmentDownload { attachment, download })
    }
}

//! The requests that send a file to the store, and how an upload is resumed.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::try_join_all;
use serde::Serialize;

use super::{Attachment, FileState, Upload, removed};
use crate::{
    base::{
        AttachmentId, CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    case::{Cases, write::Shards},
    files::{NewObject, PART_BYTES, SignedRequest, part_sizes},
    http::Located,
    table::keys,
};

/// How long the requests are valid at most.
pub(super) const VALID: Duration = Duration::from_secs(60 * 60);

/// An announced file, and the requests that send it.
#[derive(Serialize)]
pub struct AttachmentUpload {
    attachment: Attachment,
    upload: Requests,
}

/// The requests that send a file.
#[derive(Serialize)]
struct Requests {
    method: &'static str,
    part_size: u64,
    parts: Vec<PartRequest>,
    expires_at: Timestamp,
}

/// The request that sends a part of a file.
#[derive(Serialize)]
struct PartRequest {
    number: u32,
    size: u64,
    is_sent: bool,
    url: String,
    headers: BTreeMap<String, String>,
}

impl Located for AttachmentUpload {
    fn view(&self) -> impl Serialize {
        self
    }

    fn path(&self) -> String {
        self.attachment.path()
    }

    fn is_replay(&self) -> bool {
        false
    }
}

impl Cases<'_> {
    /// Signs the requests for a file that is not completed once more, and says which parts the store has.
    ///
    /// # Errors
    /// Case not found; attachment not found; attachment removed; upload finished; unavailable.
    pub async fn attachment_upload(
        &self,
        id: CaseId,
        attachment_id: &AttachmentId,
    ) -> Result<AttachmentUpload, Error> {
        let (sk, upload_sk) =
            (keys::file(id, attachment_id.as_str()), keys::upload(id, attachment_id.as_str()));
        let mut snapshot = self.read_for_write(vec![keys::case(id), sk, upload_sk], Shards::Any).await?;
        snapshot.live(id, None)?;
        let attachment = snapshot.attachment(id, attachment_id)?.attachment;
        if attachment.removed.is_some() {
            return Err(removed());
        }
        if attachment.state != FileState::Pending.into() {
            let detail = "The file is completed. Nothing can be sent any more.";
            return Err(Error::new(ErrorCode::UploadFinished, detail));
        }
        let upload = snapshot.upload(id, attachment_id)?;
        let sent = self.sent_parts(&attachment, &upload);
        let (sent, recorded) = tokio::join!(sent, self.lab.recorder().record_granted(vec![id]));
        recorded?;
        let sent = sent?;
        self.sign_upload(attachment, &upload, |number| sent.contains(&number)).await
    }

    /// The numbers of the parts that the store has.
    async fn sent_parts(&self, attachment: &Attachment, upload: &Upload) -> Result<Vec<u32>, Error> {
        let store = self.lab.files()?;
        let key = attachment.object_key(self.lab.lab_id());
        let sizes = part_sizes(attachment.size);
        if let Some(upload_id) = &upload.upload_id
            && let Some(parts) = store.parts(&key, upload_id).await?.filter(|parts| !parts.is_empty())
        {
            let is_whole = |number: u32, size: u64| {
                let index = usize::try_from(number).unwrap_or(0).checked_sub(1);
                index.and_then(|index| sizes.get(index)) == Some(&size)
            };
            let whole = parts.into_iter().filter(|part| is_whole(part.number, part.size));
            return Ok(whole.map(|part| part.number).collect());
        }
        // The whole object, also of an upload in parts that were put together by a request that failed afterwards.
        let is_there = store.list(&key).await?.contains_key(&key);
        Ok((1..).zip(&sizes).filter(|_| is_there).map(|(number, _)| number).collect())
    }

    /// Signs the requests that send a file. They are valid no longer than the upload, so that nothing can be sent once the file is
    /// removed. `is_sent` says for each part whether the store has it.
    ///
    /// # Errors
    /// Attachment not found, when the upload has expired.
    pub(super) async fn sign_upload(
        &self,
        attachment: Attachment,
        upload: &Upload,
        is_sent: impl Fn(u32) -> bool,
    ) -> Result<AttachmentUpload, Error> {
        let store = self.lab.files()?;
        let key = attachment.object_key(self.lab.lab_id());
        let now = Timestamp::now();
        let left = u64::try_from(upload.expires_at - now.epoch_seconds()).ok().filter(|seconds| *seconds > 0);
        let valid = VALID.min(Duration::from_secs(left.ok_or_else(Error::attachment_not_found)?));
        let expires_at = now.plus(valid);
        let sizes = part_sizes(attachment.size);
        let parts = (1..).zip(sizes.iter().copied()).map(|(number, size)| {
            let (key, is_sent) = (&key, is_sent(number));
            let attachment = &attachment;
            async move {
                let sha256 = match usize::try_from(number).ok().and_then(|n| upload.part_sha256.get(n - 1)) {
                    Some(part) => part,
                    None => &attachment.sha256,
                };
                let object = NewObject { key, size, sha256 };
                let SignedRequest { url, headers } = match &upload.upload_id {
                    Some(upload_id) => store.sign_part(&object, upload_id, number, valid).await?,
                    None => store.sign_put(&object, attachment.content_type.as_str(), valid).await?,
                };
                Ok::<_, Error>(PartRequest { number, size, is_sent, url, headers })
            }
        });
        let parts = try_join_all(parts).await?;
        let part_size = if upload.upload_id.is_some() { PART_BYTES } else { attachment.size };
        let upload = Requests { method: "PUT", part_size, parts, expires_at };
        Ok(AttachmentUpload { attachment, upload })
    }
}

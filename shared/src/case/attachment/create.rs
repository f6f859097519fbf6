//! Announces a file.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::{
    Attachment, AttachmentUpload, FileKind, FileState, FileType, MAX_FILES, Upload, file_type::file_name,
    new_item, storage::Storage,
};
use crate::{
    base::{
        AttachmentId, CaseId,
        error::{Error, ErrorCode},
        field_error::{FieldCode, Invalid},
        private::Private,
        time::Timestamp,
        validate::{Fields, FromObject, bytes, list, not_so_many, one_of, sha256},
        wire_enum::WireEnum,
    },
    case::{
        Cases,
        item::{StoredCase, to_item},
    },
    files::{MAX_BYTES, MAX_SINGLE_BYTES, object_key, part_sizes},
    table::{Attempt, Consistency, Query, Transaction, keys},
};

/// How long a file can be sent and completed after it was announced.
const UPLOAD_PERIOD: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// The most parts of a file.
const MAX_PARTS: usize = 80;

/// A file to announce.
pub struct AttachmentCreate {
    file_name: Private<String>,
    content_type: FileType,
    size: u64,
    sha256: String,
    kind: FileKind,
    part_sha256: Vec<String>,
}

impl FromObject for AttachmentCreate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let file_name = fields.required("file_name", file_name);
        let content_type: Option<FileType> = fields.required("content_type", one_of);
        let size = fields.required("size", bytes(1..=MAX_BYTES));
        let sum = fields.required("sha256", sha256);
        let kind = fields.required("kind", one_of);
        let parts = fields.optional("part_sha256", list(2..=MAX_PARTS, sha256)).value();
        if let (Some(file_name), Some(content_type)) = (&file_name, content_type)
            && let Err(invalid) = content_type.check_name(file_name)
        {
            fields.reject("file_name", invalid);
        }
        if let Some(size) = size.filter(|_| fields.is_sound())
            && let Err(invalid) = check_parts(size, parts.as_deref())
        {
            fields.reject("part_sha256", invalid);
        }
        Some(Self {
            file_name: file_name?,
            content_type: content_type?,
            size: size?,
            sha256: sum?,
            kind: kind?,
            part_sha256: parts.unwrap_or_default(),
        })
    }
}

/// Checks that a large file has a checksum for each part, and another one has none.
fn check_parts(size: u64, parts: Option<&[String]>) -> Result<(), Invalid> {
    let expected = part_sizes(size).len();
    match parts {
        None if size > MAX_SINGLE_BYTES => {
            Err(Invalid::new(FieldCode::Required, "is required for a file of more than 100 MiB"))
        }
        Some(_) if size <= MAX_SINGLE_BYTES => {
            Err(Invalid::inconsistent("/size", "is only for a file of more than 100 MiB"))
        }
        Some(parts) if parts.len() != expected => Err(not_so_many(&(expected..=expected))),
        _ => Ok(()),
    }
}

impl Cases<'_> {
    /// Announces a file of the case `id`. It is no change of the case.
    ///
    /// # Errors
    /// Case not found; file limit reached; storage quota exceeded; conflict; unavailable.
    pub async fn create_attachment(
        &self,
        id: CaseId,
        new: &AttachmentCreate,
    ) -> Result<AttachmentUpload, Error> {
        let store = self.lab.files()?;
        let lab = self.lab.lab_id();
        let attachment_id = AttachmentId::random();
        let key = object_key(lab, id, &attachment_id);
        let upload_id = OnceCell::new();
        let (attachment, upload) = self
            .write(|| async {
                let sks = [keys::case(id), keys::STORAGE.to_owned()];
                let items = self.table().get_many(lab, &sks, Consistency::Strong, self.lab.retry());
                let (items, files) = tokio::join!(items, self.count_files(id));
                let (mut items, files) = (items?, files?);
                let case = items.remove(&sks[0]).ok_or_else(Error::case_not_found)?;
                StoredCase::from_item(case)?;
                self.lab.recorder().note_read(id);
                if files >= MAX_FILES {
                    let detail = format!("The case has {MAX_FILES} files. It cannot have more.");
                    return Err(Error::new(ErrorCode::FileLimitReached, detail));
                }
                let storage = Storage::of(items.get(keys::STORAGE));
                storage.check(new.size, self.services.files_quota_bytes)?;
                let upload_id = match new.part_sha256.is_empty() {
                    true => None,
                    false => {
                        // One for all attempts. If none of them succeeds, the bucket ends it after two days.
                        let begin = || store.begin_parts(&key, new.content_type.as_str());
                        Some(upload_id.get_or_try_init(begin).await?.clone())
                    }
                };
                let now = Timestamp::now();
                let attachment = Attachment {
                    id: attachment_id.clone(),
                    case_id: id,
                    file_name: new.file_name.clone(),
                    content_type: new.content_type.into(),
                    size: new.size,
                    sha256: new.sha256.clone(),
                    kind: new.kind.into(),
                    state: FileState::Pending.into(),
                    uploaded_by: self.lab.user_id().to_string(),
                    created_at: now,
                    completed_at: None,
                    scanned_at: None,
                    removed: None,
                };
                let upload = Upload {
                    upload_id,
                    part_sha256: new.part_sha256.clone(),
                    expires_at: now.plus(UPLOAD_PERIOD).epoch_seconds(),
                    version: 1,
                };
                let mut transaction = Transaction::new(self.table(), lab);
                transaction.insert(&attachment.sk(), new_item(&attachment)?)?;
                transaction.insert(&keys::upload(id, attachment_id.as_str()), to_item(&upload)?)?;
                transaction.update(keys::STORAGE, storage.add(new.size))?;
                self.lab.recorder().add_granted(&mut transaction, vec![id])?;
                Ok(Attempt::Commit(transaction, (attachment, upload)))
            })
            .await?;
        self.sign_upload(attachment, &upload, |_| false).await
    }

    /// The number of files of a case, removed ones and announced ones included.
    async fn count_files(&self, id: CaseId) -> Result<usize, Error> {
        let (from, to) = keys::files(id);
        let range = Query { attributes: &["sk"], ..Query::of_table(from, to).consistent() };
        Ok(self.table().query_all(self.lab.lab_id(), range).await?.len())
    }
}

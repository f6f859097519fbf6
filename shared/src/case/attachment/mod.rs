//! Files of a case. A file has an item of its own. When it is complete, scanned or removed, that is a change of its case: the same
//! transaction writes the next version of the case, its event and the rest. Before, it is only announced, and no change.

mod complete;
mod create;
pub(crate) mod disposal;
mod download;
mod file_type;
pub(super) mod from_events;
mod list;
mod remove;
mod scan;
pub(super) mod storage;
mod upload;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use create::AttachmentCreate;
pub use download::AttachmentDownload;
pub use file_type::FileType;
pub use list::AttachmentList;
pub use scan::{ScanEvent, ScanOutcome, ScanProcessor};
pub use upload::AttachmentUpload;

use super::{
    event::Change,
    item::{from_item, to_item},
    write::Snapshot,
};
use crate::{
    base::{
        AttachmentId, CaseId, LabId,
        error::{Error, ErrorCode},
        private::Private,
        time::Timestamp,
        wire_enum::Stored,
    },
    files::object_key,
    table::{Item, ItemChange, Update, keys, number, to_attribute},
    wire_enum,
};

/// The most files of a case. Removed ones count, because they are kept as long as the case.
const MAX_FILES: usize = 200;
/// The longest name, in characters.
const MAX_NAME: usize = 255;
/// The name of a file among the changed fields of an event.
const CHANGED_FIELD: &str = "file";

wire_enum! {
    /// What a file is for.
    FileKind {
        Scan = "scan", Prescription = "prescription", Photo = "photo", Design = "design", Document = "document", Other = "other",
    }
}

wire_enum! {
    /// How far a file is. Only a clean one can be read.
    FileState {
        Pending = "pending", Scanning = "scanning", Clean = "clean", Infected = "infected", Rejected = "rejected",
    }
}

/// A file of a case. It has no `Debug`, because names of files are names of patients.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its id.
    id: AttachmentId,
    /// The case.
    case_id: CaseId,
    /// Its name.
    file_name: Private<String>,
    /// Its media type.
    content_type: Stored<FileType>,
    /// Bytes.
    size: u64,
    /// The SHA-256 in hexadecimal, as it was announced.
    sha256: String,
    /// What it is for.
    kind: Stored<FileKind>,
    /// How far it is.
    state: Stored<FileState>,
    /// The user who announced it.
    uploaded_by: String,
    /// When it was announced.
    created_at: Timestamp,
    /// When it was completed.
    completed_at: Option<Timestamp>,
    /// When the result of the scan came.
    scanned_at: Option<Timestamp>,
    /// Who removed it, and when.
    removed: Option<FileRemoval>,
}

/// The removal of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileRemoval {
    at: Timestamp,
    user_id: String,
}

impl Attachment {
    /// Its sort key.
    fn sk(&self) -> String {
        keys::file(self.case_id, self.id.as_str())
    }

    /// Its path.
    fn path(&self) -> String {
        format!("/api/v1/cases/{}/attachments/{}", self.case_id, self.id.as_str())
    }

    /// Its key in the store.
    fn object_key(&self, lab: LabId) -> String {
        object_key(lab, self.case_id, &self.id)
    }
}

/// What is stored of a file besides what the API shows.
#[derive(Clone, Deserialize)]
struct Internals {
    /// The version of the item, for the conditions of writes.
    version: u32,
    /// The version of the object in the store.
    version_id: Option<String>,
    /// The result of a scan that came before the file was completed.
    scan: Option<EarlyScan>,
}

/// A result of a scan that came before the file was completed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EarlyScan {
    state: Stored<FileState>,
    version_id: Option<String>,
}

/// A file as it is stored.
#[derive(Clone)]
struct StoredAttachment {
    attachment: Attachment,
    internals: Internals,
}

impl StoredAttachment {
    fn from_item(item: Item) -> Result<Self, Error> {
        let internals = from_item(item.clone())?;
        Ok(Self { attachment: from_item(item)?, internals })
    }

    /// The change of attributes of the item, which must still be the one that was read.
    fn update(&self, mut change: ItemChange) -> Update {
        change.set(VERSION, number(self.internals.version.saturating_add(1)));
        change.if_equal(VERSION, number(self.internals.version))
    }
}

/// The attribute with the version of an item.
const VERSION: &str = "version";

/// The item of a new file.
fn new_item(attachment: &Attachment) -> Result<Item, Error> {
    let mut item = to_item(attachment)?;
    item.insert(VERSION.to_owned(), number(1));
    Ok(item)
}

/// The change of the item of a file to this state and these times.
fn state_change(attachment: &Attachment) -> Result<ItemChange, Error> {
    let mut change = ItemChange::default();
    change.set("state", to_attribute(&attachment.state)?);
    if let Some(at) = attachment.completed_at {
        change.set("completed_at", to_attribute(&at)?);
    }
    if let Some(at) = attachment.scanned_at {
        change.set("scanned_at", to_attribute(&at)?);
    }
    Ok(change)
}

/// The change of a file in an event.
fn change(before: Option<&Attachment>, after: Option<&Attachment>) -> Change {
    let content = |attachment: Option<&Attachment>| {
        let content = attachment.map(|attachment| {
            let Attachment { id, file_name, content_type, size, sha256, kind, state, .. } = attachment;
            json!({
                "id": id, "file_name": file_name, "content_type": content_type, "size": size, "sha256": sha256,
                "kind": kind, "state": state,
            })
        });
        Private::new(content.unwrap_or_default())
    };
    Change { field: CHANGED_FIELD.to_owned(), from: content(before), to: content(after) }
}

/// The upload of a file that is not completed. It expires, and then the function on the streams removes the file.
#[derive(Clone, Serialize, Deserialize)]
struct Upload {
    /// S3's id of an upload in parts.
    upload_id: Option<String>,
    /// The SHA-256 of the parts, in hexadecimal; empty for a file that is sent with one request.
    #[serde(default)]
    part_sha256: Vec<String>,
    /// Seconds since the Unix epoch.
    expires_at: i64,
    /// For the conditions of writes. It is always 1.
    version: u32,
}

impl Snapshot<'_> {
    /// Takes a file.
    ///
    /// # Errors
    /// Attachment not found.
    fn attachment(&mut self, case: CaseId, id: &AttachmentId) -> Result<StoredAttachment, Error> {
        let item = self.take_item(&keys::file(case, id.as_str())).ok_or_else(Error::attachment_not_found)?;
        StoredAttachment::from_item(item)
    }

    /// Takes the upload of a file that is not completed.
    ///
    /// # Errors
    /// Attachment not found: an upload that has ended is about to be removed together with its file.
    fn upload(&mut self, case: CaseId, id: &AttachmentId) -> Result<Upload, Error> {
        let item = self.take_item(&keys::upload(case, id.as_str()));
        item.map_or_else(|| Err(Error::attachment_not_found()), from_item)
    }
}

/// The error of a request that needs a file that was not removed.
fn removed() -> Error {
    Error::new(ErrorCode::AttachmentRemoved, "The file was removed.")
}

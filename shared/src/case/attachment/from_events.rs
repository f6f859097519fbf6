//! The files of a case as its events say. The events are sealed, the items of the files are not, so the check of a lab's data
//! compares them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Attachment, CHANGED_FIELD, FileKind, FileRemoval, FileState, FileType};
use crate::{
    base::{AttachmentId, private::Private, time::Timestamp, wire_enum::Stored},
    case::event::{Action, Event},
};

/// What events say of a file.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(in crate::case) struct ExpectedFile {
    id: AttachmentId,
    file_name: Private<String>,
    content_type: Stored<FileType>,
    size: u64,
    sha256: String,
    kind: Stored<FileKind>,
    state: Stored<FileState>,
    #[serde(skip)]
    completed_at: Option<Timestamp>,
    #[serde(skip)]
    scanned_at: Option<Timestamp>,
    #[serde(skip)]
    removed: Option<FileRemoval>,
}

impl ExpectedFile {
    /// The same of an item.
    pub(in crate::case) fn of(attachment: Attachment) -> Self {
        let Attachment {
            id,
            file_name,
            content_type,
            size,
            sha256,
            kind,
            state,
            completed_at,
            scanned_at,
            removed,
            ..
        } = attachment;
        Self { id, file_name, content_type, size, sha256, kind, state, completed_at, scanned_at, removed }
    }

    /// Whether the store must have the object.
    pub(in crate::case) fn needs_object(&self) -> bool {
        self.state == FileState::Clean.into()
    }

    /// Whether it is only announced, which no event says.
    pub(in crate::case) fn is_pending(&self) -> bool {
        self.state == FileState::Pending.into()
    }
}

/// The files after these events, by their ids. Events without a file, or not as this service writes them, are left out.
pub(in crate::case) fn files<'e>(
    events: impl IntoIterator<Item = &'e Event>,
) -> BTreeMap<String, ExpectedFile> {
    let mut files = BTreeMap::<String, ExpectedFile>::new();
    for event in events {
        let Some(change) = event.changes.iter().find(|change| change.field == CHANGED_FIELD) else {
            continue;
        };
        let content = |value: &Value| ExpectedFile::deserialize(value).ok();
        let (from, to) = (content(change.from.expose()), content(change.to.expose()));
        match (&event.action, from, to) {
            (Stored::Known(Action::FileAdded), _, Some(mut file)) => {
                file.completed_at = Some(event.at);
                file.scanned_at = (file.state != FileState::Scanning.into()).then_some(event.at);
                files.insert(file.id.as_str().to_owned(), file);
            }
            (Stored::Known(Action::FileScanned), _, Some(file)) => {
                if let Some(known) = files.get_mut(file.id.as_str()) {
                    (known.state, known.scanned_at) = (file.state, Some(event.at));
                }
            }
            (Stored::Known(Action::FileRemoved), Some(file), _) => {
                if let Some(known) = files.get_mut(file.id.as_str()) {
                    known.removed = Some(FileRemoval { at: event.at, user_id: event.user_id.clone() });
                }
            }
            _ => {}
        }
    }
    files
}

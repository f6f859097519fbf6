//! Comments on a case. A comment has an item of its own, and each change of a comment is a change of its case: the same
//! transaction writes the next version of the case, its event and the rest.

mod create;
pub(super) mod from_events;
mod list;
mod remove;
mod update;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use create::{CommentCreate, CommentOutcome};
pub use list::CommentPage;
pub use update::CommentUpdate;

use super::{Case, Cases, event::Change, item::from_item, write::Snapshot};
use crate::{
    auth::Permission,
    base::{
        AttachmentId, CaseId,
        error::{Error, ErrorCode},
        field_error::Invalid,
        private::Private,
        time::Timestamp,
        validate::{Checked, distinct, not_text, reference, text},
    },
    table::keys,
};

/// How long the author can edit a comment.
const EDIT_PERIOD: Duration = Duration::from_secs(15 * 60);
/// The longest text, in characters.
const MAX_TEXT: usize = 4000;
/// The name of a comment among the changed fields of an event.
const CHANGED_FIELD: &str = "comment";
/// The most files of a comment.
const MAX_ATTACHMENTS: usize = 20;
/// The most mentions of a comment.
const MAX_MENTIONS: usize = 50;

/// A comment. It has no `Debug`, because people write about patients in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its number within the case, from 1.
    id: u32,
    /// The case.
    case_id: CaseId,
    /// Who wrote it.
    author: CommentAuthor,
    /// When it was written.
    created_at: Timestamp,
    /// When it was last edited.
    edited_at: Option<Timestamp>,
    /// The text; `None` after the removal.
    text: Option<Private<String>>,
    /// The ids of the mentioned users.
    mentions: Vec<String>,
    /// The files that it is about. Comments of earlier releases have none.
    #[serde(default)]
    attachments: Vec<AttachmentId>,
    /// Whether the case waits for an answer to it.
    asks: bool,
    /// Who removed it, and when.
    removed: Option<Removal>,
}

/// The author of a comment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CommentAuthor {
    user_id: String,
}

/// The removal of a comment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Removal {
    at: Timestamp,
    user_id: String,
}

impl Comment {
    /// Its sort key.
    fn sk(&self) -> String {
        keys::comment(self.case_id, self.id)
    }

    /// Its path.
    fn path(&self) -> String {
        format!("/api/v1/cases/{}/comments/{}", self.case_id, self.id)
    }

    /// Whether the user wrote it.
    fn is_by(&self, user_id: &str) -> bool {
        self.author.user_id == user_id
    }
}

/// The change of a comment in an event. The history of a case has each version of a comment, as that of any other field.
fn change(before: Option<&Comment>, after: Option<&Comment>) -> Change {
    let content = |comment: Option<&Comment>| {
        let content = comment.map(|Comment { id, text, mentions, attachments, asks, .. }| {
            json!({"id": id, "text": text, "mentions": mentions, "attachments": attachments, "asks": asks})
        });
        Private::new(content.unwrap_or_default())
    };
    Change { field: CHANGED_FIELD.to_owned(), from: content(before), to: content(after) }
}

/// Reads the text of a comment from a request.
fn comment_text(value: &serde_json::Value) -> Checked<Private<String>> {
    text(1..=MAX_TEXT)(value)
}

/// Reads the mentions of a comment from a request.
fn mentions(value: &serde_json::Value) -> Checked<Vec<String>> {
    distinct(0..=MAX_MENTIONS, reference)(value)
}

/// Reads the files that a comment is about from a request.
fn attachments(value: &serde_json::Value) -> Checked<Vec<AttachmentId>> {
    let id = |value: &serde_json::Value| {
        let text = value.as_str().ok_or_else(not_text)?;
        let invalid = || Invalid::format("attachment_id", "must be the id of a file");
        AttachmentId::parse(text).ok_or_else(invalid)
    };
    distinct(0..=MAX_ATTACHMENTS, id)(value)
}

impl Case {
    /// Adds a comment, and returns its number.
    fn add_comment(&mut self, user_id: &str, asks: bool) -> u32 {
        let id = self.thread.add(user_id, asks);
        self.comment_count = self.comment_count.saturating_add(1);
        self.waiting_for_answer = self.thread.is_waiting();
        id
    }

    /// Removes a comment.
    fn remove_comment(&mut self, id: u32) {
        self.thread.remove(id);
        self.comment_count = self.comment_count.saturating_sub(1);
        self.waiting_for_answer = self.thread.is_waiting();
    }
}

impl Snapshot<'_> {
    /// Takes a comment.
    ///
    /// # Errors
    /// Comment not found.
    fn comment(&mut self, case: CaseId, id: u32) -> Result<Comment, Error> {
        let item = self.take_item(&keys::comment(case, id)).ok_or_else(Error::comment_not_found)?;
        from_item(item)
    }
}

impl Cases<'_> {
    /// Checks that the caller wrote the comment, or has `permission`.
    ///
    /// # Errors
    /// Forbidden.
    fn check_author(&self, comment: &Comment, or: Option<Permission>, detail: &str) -> Result<(), Error> {
        if comment.is_by(self.lab.user_id().as_str())
            || or.is_some_and(|permission| self.lab.allows(permission))
        {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Forbidden, detail))
    }
}

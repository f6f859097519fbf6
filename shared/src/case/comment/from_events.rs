//! The comments of a case as its events say. The events are sealed, the items of the comments are not, so the check of a lab's
//! data compares them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Comment, CommentAuthor, Removal};
use crate::{
    base::{AttachmentId, private::Private, wire_enum::Stored},
    case::event::{Action, Event},
};

/// The content of a comment in an event.
#[derive(Default, Deserialize)]
struct Content {
    id: u32,
    text: Option<Private<String>>,
    mentions: Vec<String>,
    /// Events of earlier releases have none.
    #[serde(default)]
    attachments: Vec<AttachmentId>,
    asks: bool,
}

/// The comments after these events, by their numbers. Events without a comment, or not as this service writes them, are left out.
pub(in crate::case) fn comments<'e>(events: impl IntoIterator<Item = &'e Event>) -> BTreeMap<u32, Comment> {
    let mut comments = BTreeMap::new();
    for event in events {
        let Some(change) = event.changes.iter().find(|change| change.field == super::CHANGED_FIELD) else {
            continue;
        };
        let content = |value: &Value| Content::deserialize(value).unwrap_or_default();
        let (from, to) = (content(change.from.expose()), content(change.to.expose()));
        match event.action {
            Stored::Known(Action::Commented) => {
                let Content { id, text, mentions, attachments, asks } = to;
                let comment = Comment {
                    id,
                    case_id: event.case_id,
                    author: CommentAuthor { user_id: event.user_id.clone() },
                    created_at: event.at,
                    edited_at: None,
                    text,
                    mentions,
                    attachments,
                    asks,
                    removed: None,
                };
                comments.insert(id, comment);
            }
            Stored::Known(Action::CommentEdited) => {
                if let Some(comment) = comments.get_mut(&to.id) {
                    (comment.text, comment.mentions, comment.edited_at) =
                        (to.text, to.mentions, Some(event.at));
                }
            }
            Stored::Known(Action::CommentRemoved) => {
                if let Some(comment) = comments.get_mut(&from.id) {
                    comment.text = None;
                    comment.mentions.clear();
                    comment.attachments.clear();
                    comment.removed = Some(Removal { at: event.at, user_id: event.user_id.clone() });
                }
            }
            _ => {}
        }
    }
    comments
}

//! Adds a comment to a case.

use serde::Serialize;

use super::{Comment, CommentAuthor, attachments, change, comment_text, mentions};
use crate::{
    base::{
        AttachmentId, CaseId,
        error::Error,
        field_error::{FieldCode, FieldError, Invalid},
        private::Private,
        validate::{Fields, FromObject, boolean},
    },
    case::{
        Cases, change_set::ChangeSet, event::Action, item::to_item, stored_response::StoredResponse,
        write::Shards,
    },
    http::{IdempotencyKey, Located},
    table::{Attempt, Item, keys},
};

/// A new comment.
pub struct CommentCreate {
    text: Private<String>,
    mentions: Vec<String>,
    attachments: Vec<AttachmentId>,
    asks: bool,
}

impl FromObject for CommentCreate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let text = fields.required("text", comment_text);
        let mentions = fields.optional("mentions", mentions).value().unwrap_or_default();
        let attachments = fields.optional("attachments", attachments).value().unwrap_or_default();
        let asks = fields.optional("asks", boolean).value().unwrap_or(false);
        Some(Self { text: text?, mentions, attachments, asks })
    }
}

/// The result of a create: the comment as the first request with the idempotency key made it.
pub struct CommentOutcome {
    comment: Comment,
    is_replay: bool,
}

impl Located for CommentOutcome {
    fn view(&self) -> impl Serialize {
        &self.comment
    }

    fn path(&self) -> String {
        self.comment.path()
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }
}

impl Cases<'_> {
    /// Adds a comment to the case `id`. A repeated request with the same idempotency key gets the stored response.
    ///
    /// # Errors
    /// Case not found; validation, for files that the case does not have; idempotency key reused; conflict.
    pub async fn create_comment(
        &self,
        id: CaseId,
        new: &CommentCreate,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<CommentOutcome, Error> {
        self.write(|| async {
            let mut sks = self.response_keys(idempotency_key);
            sks.push(keys::case(id));
            sks.extend(new.attachments.iter().map(|file| keys::file(id, file.as_str())));
            let mut snapshot = self.read_for_write(sks, Shards::Any).await?;
            let stored = snapshot.stored_response(self, idempotency_key)?;
            let before = snapshot.live(id, None)?;
            if let Some(comment) = stored.and_then(StoredResponse::into_comment) {
                self.lab.recorder().record_granted(vec![id]).await?;
                return Ok(Attempt::Done(CommentOutcome { comment, is_replay: true }));
            }
            // An item of a removed file has this attribute.
            let is_there = |item: Item| !item.contains_key("removed");
            let file = |id_of_file: &AttachmentId| snapshot.take_item(&keys::file(id, id_of_file.as_str()));
            let files: Vec<bool> =
                new.attachments.iter().map(file).map(|item| item.is_some_and(is_there)).collect();
            if files.contains(&false) {
                let invalid = Invalid::new(FieldCode::NotFound, "must be a file of the case").of_each();
                return Err(Error::validation(vec![FieldError::new("/attachments", invalid)]));
            }
            let mut after = before.case.next_version();
            let user_id = self.lab.user_id().to_string();
            let comment = Comment {
                id: after.add_comment(&user_id, new.asks),
                case_id: id,
                author: CommentAuthor { user_id },
                created_at: after.updated_at,
                edited_at: None,
                text: Some(new.text.clone()),
                mentions: new.mentions.clone(),
                attachments: new.attachments.clone(),
                asks: new.asks,
                removed: None,
            };
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add_of_part(Action::Commented, &before, &after, change(None, Some(&comment)))?;
            changes.insert(&comment.sk(), to_item(&comment)?)?;
            changes.record(self.lab.recorder(), vec![id])?;
            if let Some(key) = idempotency_key {
                let response = StoredResponse::of_comment(key, &comment, after.updated_at);
                changes.store(self, key, &response, after.updated_at)?;
            }
            changes.commit(CommentOutcome { comment, is_replay: false })
        })
        .await
    }
}

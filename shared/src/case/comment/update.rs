//! Edits a comment. Its author can do so for a short time.

use serde_json::{Map, Value};

use super::{Comment, EDIT_PERIOD, change, comment_text, mentions};
use crate::{
    base::{
        CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
        validate::{Fields, FromObject, read_only_errors, whole_object},
    },
    case::{Cases, change_set::ChangeSet, event::Action, write::Shards},
    table::{Attempt, Update, keys, text, to_attribute},
};

/// The fields that clients cannot set. An update may have them with their current values.
const READ_ONLY: [&str; 8] =
    ["id", "case_id", "author", "created_at", "edited_at", "attachments", "asks", "removed"];

/// An update of a comment: it sets the fields in the body. It holds the object, because each attempt to write checks it against
/// the comment that it has read.
pub struct CommentUpdate {
    object: Map<String, Value>,
}

impl FromObject for CommentUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        Some(Self { object: whole_object(fields) })
    }
}

impl Cases<'_> {
    /// Sets the text and the mentions of a comment.
    ///
    /// # Errors
    /// Case not found; comment not found; forbidden, for other users than the author; comment removed; edit period over;
    /// validation; conflict.
    pub async fn update_comment(
        &self,
        id: CaseId,
        comment_id: u32,
        update: &CommentUpdate,
    ) -> Result<Comment, Error> {
        self.write(|| async {
            let sks = vec![keys::case(id), keys::comment(id, comment_id)];
            let mut snapshot = self.read_for_write(sks, Shards::Any).await?;
            let case = snapshot.live(id, None)?;
            let before = snapshot.comment(id, comment_id)?;
            self.check_author(&before, None, "Only the author of a comment can edit it.")?;
            before.check_editable(case.case.next_moment())?;
            let mut comment = before.updated(&update.object)?;
            if comment == before {
                self.lab.recorder().record_granted(vec![id]).await?;
                return Ok(Attempt::Done(comment));
            }
            let after = case.case.next_version();
            comment.edited_at = Some(after.updated_at);
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add_of_part(
                Action::CommentEdited,
                &case,
                &after,
                change(Some(&before), Some(&comment)),
            )?;
            changes.update(&comment.sk(), edit(&comment, after.updated_at)?)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.commit(comment)
        })
        .await
    }
}

impl Comment {
    fn check_editable(&self, now: Timestamp) -> Result<(), Error> {
        if self.removed.is_some() {
            return Err(Error::new(ErrorCode::CommentRemoved, "The comment was removed."));
        }
        if self.created_at < now.minus(EDIT_PERIOD) {
            let detail = "A comment can be edited for 15 minutes. Write another one.";
            return Err(Error::new(ErrorCode::EditPeriodOver, detail));
        }
        Ok(())
    }

    /// Applies the object's fields to a copy of the comment.
    ///
    /// # Errors
    /// Validation, with all errors, including read-only fields that differ from the comment.
    fn updated(&self, object: &Map<String, Value>) -> Result<Self, Error> {
        let mut updated = self.clone();
        let mut fields = Fields::new(object);
        if let Some(text) = fields.optional_but_not_null("text", comment_text) {
            updated.text = Some(text);
        }
        fields.optional("mentions", mentions).set_or_default(&mut updated.mentions);
        fields.skip(READ_ONLY);
        fields.extend(read_only_errors(object, self, READ_ONLY.into_iter())?);
        fields.finish()?;
        Ok(updated)
    }
}

/// Sets only what an edit changes, so that attributes of a newer release stay.
fn edit(comment: &Comment, at: Timestamp) -> Result<Update, Error> {
    Ok(Update {
        expression: "SET #text = :text, mentions = :mentions, edited_at = :at".to_owned(),
        condition: Some("attribute_exists(sk)".to_owned()),
        names: vec![("#text".to_owned(), "text".to_owned())],
        values: vec![
            (":text".to_owned(), to_attribute(&comment.text)?),
            (":mentions".to_owned(), to_attribute(&comment.mentions)?),
            (":at".to_owned(), text(at.to_string())),
        ],
    })
}

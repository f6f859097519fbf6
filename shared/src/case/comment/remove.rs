//! Removes a comment. Its number, author and times stay as a mark; its text and mentions are gone from the item. The history of
//! the case keeps them.

use super::{Removal, change};
use crate::{
    auth::Permission,
    base::{CaseId, error::Error},
    case::{Cases, change_set::ChangeSet, event::Action, write::Shards},
    table::{Attempt, Update, keys, to_attribute},
};

impl Cases<'_> {
    /// Removes a comment. A removed one stays as it is.
    ///
    /// # Errors
    /// Case not found; comment not found; forbidden, for users who neither wrote it nor may delete cases; conflict.
    pub async fn remove_comment(&self, id: CaseId, comment_id: u32) -> Result<(), Error> {
        self.write(|| async {
            let sks = vec![keys::case(id), keys::comment(id, comment_id)];
            let mut snapshot = self.read_for_write(sks, Shards::Any).await?;
            let case = snapshot.live(id, None)?;
            let before = snapshot.comment(id, comment_id)?;
            let detail = "Only its author, or a user with the permission delete, can remove a comment.";
            self.check_author(&before, Some(Permission::Delete), detail)?;
            if before.removed.is_some() {
                self.lab.recorder().record_granted(vec![id]).await?;
                return Ok(Attempt::Done(()));
            }
            let mut after = case.case.next_version();
            after.remove_comment(comment_id);
            let removal = Removal { at: after.updated_at, user_id: self.lab.user_id().to_string() };
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add_of_part(Action::CommentRemoved, &case, &after, change(Some(&before), None))?;
            changes.update(&before.sk(), mark(&removal)?)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.commit(())
        })
        .await
    }
}

/// Leaves the mark of a removed comment.
fn mark(removal: &Removal) -> Result<Update, Error> {
    let no_mentions: [&str; 0] = [];
    Ok(Update {
        expression: "SET removed = :removal, mentions = :mentions, attachments = :mentions REMOVE #text"
            .to_owned(),
        condition: Some("attribute_exists(sk)".to_owned()),
        names: vec![("#text".to_owned(), "text".to_owned())],
        values: vec![
            (":removal".to_owned(), to_attribute(removal)?),
            (":mentions".to_owned(), to_attribute(&no_mentions)?),
        ],
    })
}

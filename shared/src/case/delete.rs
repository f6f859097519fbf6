//! Deletes a case. It is removed from all lists, but stays in the table with another key until its retention ends.

use super::{Case, Cases, change_set::ChangeSet, event::Action, write::Shards};
use crate::{
    base::{CaseId, error::Error},
    http::EntityTags,
    table::keys,
};

impl Cases<'_> {
    /// Deletes a case, if it has one of the versions in `if_match`.
    ///
    /// # Errors
    /// Case not found; precondition failed; conflict.
    pub async fn delete(&self, id: CaseId, if_match: Option<&EntityTags>) -> Result<(), Error> {
        self.write(|| async {
            let mut snapshot = self.read_for_write(vec![keys::case(id)], Shards::Any).await?;
            let before = snapshot.live(id, if_match)?;
            let now = before.case.next_moment();
            let deleted = Case {
                version: before.case.version + 1,
                updated_at: now,
                deleted_at: Some(now),
                deleted_by: Some(self.lab.user_id().to_string()),
                ..before.case.clone()
            };
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add(Action::Deleted, Some(&before), &deleted, None)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.commit(())
        })
        .await
    }
}

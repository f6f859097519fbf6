//! Removes a file. It stays as a mark, and the store keeps the object until the end of the case's retention. A file that is not
//! completed is cancelled: its upload expires when the requests that were signed for it do, so that nothing is sent afterwards, and
//! then the function on the streams removes it.

use super::{FileRemoval, FileState, Upload, VERSION, change, upload::VALID};
use crate::{
    auth::Permission,
    base::{
        AttachmentId, CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    case::{Cases, change_set::ChangeSet, event::Action, item::EXPIRES_AT, write::Shards},
    table::{Attempt, ItemChange, Transaction, Update, keys, number, to_attribute},
};

impl Cases<'_> {
    /// Removes a file. A removed one stays as it is.
    ///
    /// # Errors
    /// Case not found; attachment not found; forbidden, for users who neither announced it nor may delete cases; conflict.
    pub async fn remove_attachment(&self, id: CaseId, attachment_id: &AttachmentId) -> Result<(), Error> {
        let (sk, upload_sk) =
            (keys::file(id, attachment_id.as_str()), keys::upload(id, attachment_id.as_str()));
        self.write(|| async {
            let mut snapshot =
                self.read_for_write(vec![keys::case(id), sk.clone(), upload_sk.clone()], Shards::Any).await?;
            let case = snapshot.live(id, None)?;
            let stored = snapshot.attachment(id, attachment_id)?;
            let before = &stored.attachment;
            let user_id = self.lab.user_id().to_string();
            if before.uploaded_by != user_id && !self.lab.allows(Permission::Delete) {
                let detail =
                    "Only the user who announced it, or a user with the permission delete, can remove a file.";
                return Err(Error::new(ErrorCode::Forbidden, detail));
            }
            if before.removed.is_some() {
                self.lab.recorder().record_granted(vec![id]).await?;
                return Ok(Attempt::Done(()));
            }
            let after = case.case.next_version();
            let removal = FileRemoval { at: after.updated_at, user_id };
            let mut mark = ItemChange::default();
            mark.set("removed", to_attribute(&removal)?);
            let mark = stored.update(mark);
            if before.state == FileState::Pending.into() {
                let mut transaction = Transaction::new(self.table(), self.lab.lab_id());
                transaction.update(&sk, mark)?;
                if let Ok(upload) = snapshot.upload(id, attachment_id) {
                    transaction.update(&upload_sk, upload.end(removal.at.plus(VALID)))?;
                }
                self.lab.recorder().add_granted(&mut transaction, vec![id])?;
                return Ok(Attempt::Commit(transaction, ()));
            }
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add_of_part(Action::FileRemoved, &case, &after, change(Some(before), None))?;
            changes.update(&sk, mark)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.commit(())
        })
        .await
    }
}

impl Upload {
    /// Lets the upload expire at this time, if it does not sooner.
    fn end(&self, at: Timestamp) -> Update {
        let mut change = ItemChange::default();
        change.set(EXPIRES_AT, number(at.epoch_seconds().min(self.expires_at)));
        change.if_equal(VERSION, number(self.version))
    }
}

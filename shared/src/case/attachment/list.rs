//! Lists the files of a case.

use serde::Serialize;

use super::Attachment;
use crate::{
    base::{CaseId, error::Error},
    case::{Cases, item::from_item},
    table::{Query, keys},
};

/// The files of a case.
#[derive(Serialize)]
pub struct AttachmentList {
    attachments: Vec<Attachment>,
}

impl Cases<'_> {
    /// Reads the files of a case, in the order in which they were announced.
    ///
    /// # Errors
    /// Case not found; unavailable.
    pub async fn attachments(&self, id: CaseId) -> Result<AttachmentList, Error> {
        let (from, to) = keys::files(id);
        let read = self.table().query_all(self.lab.lab_id(), Query::of_table(from, to).consistent());
        let record = self.lab.recorder().record_granted(vec![id]);
        let (case, items, recorded) = tokio::join!(self.get_stored(id), read, record);
        // If the lab does not have the case, another record of the request says so.
        case?;
        let items = items?;
        recorded?;
        let mut attachments: Vec<Attachment> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        attachments.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(AttachmentList { attachments })
    }
}

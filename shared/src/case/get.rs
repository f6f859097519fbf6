//! Reading one case.

use super::{Case, Cases, item::StoredCase};
use crate::{
    base::{CaseId, error::Error},
    table::keys,
};

impl Cases<'_> {
    /// One case, as it is now.
    ///
    /// # Errors
    /// Case not found, whether it never existed, was deleted, or belongs to another lab.
    pub async fn get(&self, id: CaseId) -> Result<Case, Error> {
        let record = self.lab.recorder().record_granted(vec![id]);
        let (stored, recorded) = tokio::join!(self.get_stored(id), record);
        // When there is no such case, the refusal is recorded in place of this.
        let case = stored?.case;
        recorded.map(|()| case)
    }

    /// The live case with what the table keeps beside it.
    pub(super) async fn get_stored(&self, id: CaseId) -> Result<StoredCase, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::case(id)).await?;
        item.map_or_else(|| Err(Error::case_not_found()), StoredCase::from_item)
    }

    /// The case, if it is deleted.
    pub(super) async fn get_deleted(&self, id: CaseId) -> Result<Option<StoredCase>, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::deleted(id)).await?;
        let stored = item.map(StoredCase::from_item).transpose()?;
        Ok(stored.filter(|stored| !stored.is_expired))
    }
}

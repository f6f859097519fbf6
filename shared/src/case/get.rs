//! Reads one case.

use super::{Case, Cases, item::StoredCase};
use crate::{
    base::{CaseId, error::Error},
    table::keys,
};

impl Cases<'_> {
    /// Reads one case.
    ///
    /// # Errors
    /// Case not found, when it never existed, was deleted, or belongs to another lab.
    pub async fn get(&self, id: CaseId) -> Result<Case, Error> {
        let record = self.lab.recorder().record_granted(vec![id]);
        let (stored, recorded) = tokio::join!(self.get_stored(id), record);
        // If the lab does not have the case, another record of the request says so.
        let case = stored?.case;
        recorded.map(|()| case)
    }

    /// Reads the live case with its other stored values.
    pub(super) async fn get_stored(&self, id: CaseId) -> Result<StoredCase, Error> {
        let item = self.table().get(self.lab.lab_id(), &keys::case(id)).await?;
        item.map_or_else(|| Err(Error::case_not_found()), StoredCase::from_item)
    }
}

//! Which changes are told to other systems and to clients.

use super::change::{Change, Kind};
use crate::{message::CaseImages, table::keys};

/// The change of a live case; `None` for other items. A delete and a restore move the item of a case to another key.
pub(crate) fn of_change(change: &Change) -> Option<CaseImages<'_>> {
    Some(CaseImages {
        id: &change.stream_id,
        lab: change.lab_id()?,
        case: change.case_id(keys::CASE_PREFIX)?,
        changed_at: change.changed_at,
        before: (change.kind != Kind::Insert).then_some(&change.before),
        after: (change.kind != Kind::Remove).then_some(&change.after),
    })
}

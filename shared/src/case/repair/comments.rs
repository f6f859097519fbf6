//! Compares the comments of a case with its events.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        comment::{Comment, from_events},
        event::Event,
    },
    Fault, FaultKind, Repair,
};
use crate::{
    base::{CaseId, LabId, error::Error},
    table::{self, Item, Query, keys},
};

impl Repair {
    /// The comments that are not what the events of the case say. They are reported and not mended, as a broken history is.
    pub(super) async fn comment_faults(
        &self,
        lab: LabId,
        case: CaseId,
        events: &[Item],
    ) -> Result<Vec<Fault>, Error> {
        let events: Vec<Event> =
            events.iter().filter_map(|event| table::from_item(event.clone()).ok()).collect();
        let expected: BTreeMap<String, Comment> = from_events::comments(&events)
            .into_iter()
            .map(|(id, comment)| (keys::comment(case, id), comment))
            .collect();
        let range = Query::of_table(keys::comment(case, 0), keys::last_comment(case)).consistent();
        let items = self.table.query_all(lab, range).await?;
        let found: BTreeMap<String, Option<Comment>> = items
            .into_iter()
            .filter_map(|item| Some((item.get("sk")?.as_s().ok()?.clone(), table::from_item(item).ok())))
            .collect();
        let places: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let is_wrong = |sk: &&&String| expected.get(**sk) != found.get(**sk).and_then(Option::as_ref);
        let fault = |sk: &String| Fault {
            kind: FaultKind::Comment,
            place: sk.clone(),
            detail: "is not what the events of the case say".to_owned(),
            is_mended: false,
        };
        Ok(places.iter().filter(is_wrong).map(|sk| fault(sk)).collect())
    }
}

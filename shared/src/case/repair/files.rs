//! Compares the files of a case with its events and with the store, and the bytes of the lab with its files.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        attachment::{
            Attachment,
            from_events::{self, ExpectedFile},
            storage::{BYTES, bytes_of},
        },
        event::Event,
    },
    Fault, FaultKind, Repair, RepairReport,
};
use crate::{
    base::{CaseId, LabId, error::Error},
    files::case_prefix,
    table::{self, Attempt, Item, Query, Transaction, Update, keys, number},
};

/// How often the bytes are read until no request has changed them meanwhile.
const ATTEMPTS: usize = 20;

impl Repair {
    /// The files that are not what the events of the case say, or that the store does not have. They are reported and not mended.
    /// Files that are only announced have no event.
    pub(super) async fn file_faults(
        &self,
        lab: LabId,
        case: CaseId,
        events: &[Item],
    ) -> Result<Vec<Fault>, Error> {
        let events: Vec<Event> =
            events.iter().filter_map(|event| table::from_item(event.clone()).ok()).collect();
        let expected = from_events::files(&events);
        let (from, to) = keys::files(case);
        let items = self.table.query_all(lab, Query::of_table(from, to).consistent()).await?;
        let id = |item: &Item| Some(item.get("id")?.as_s().ok()?.clone());
        let found: BTreeMap<String, Option<ExpectedFile>> = items
            .into_iter()
            .filter_map(|item| {
                let file = table::from_item::<Attachment>(item.clone()).ok().map(ExpectedFile::of);
                Some((id(&item)?, file))
            })
            .filter(|(_, file)| !file.as_ref().is_some_and(ExpectedFile::is_pending))
            .collect();
        let fault = |kind, id: &str, detail: &str| Fault {
            kind,
            place: keys::file(case, id),
            detail: detail.to_owned(),
            is_mended: false,
        };
        let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let is_wrong = |id: &&&String| expected.get(**id) != found.get(**id).and_then(Option::as_ref);
        let wrong = ids.iter().filter(is_wrong);
        let mut faults: Vec<Fault> = wrong
            .map(|id| fault(FaultKind::Attachment, id, "is not what the events of the case say"))
            .collect();
        let needed: Vec<&String> =
            expected.iter().filter(|(_, file)| file.needs_object()).map(|(id, _)| id).collect();
        if let Some(store) = self.files.as_ref().filter(|_| !needed.is_empty()) {
            let prefix = case_prefix(lab, case);
            let objects = store.list(&prefix).await?;
            let missing = needed.into_iter().filter(|id| !objects.contains_key(&format!("{prefix}{id}")));
            faults.extend(missing.map(|id| fault(FaultKind::FileMissing, id, "the store does not have it")));
        }
        Ok(faults)
    }

    /// Corrects the bytes of the lab's files.
    pub(super) async fn check_storage(&self, lab: LabId, report: &mut RepairReport) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let before = self.table.get(lab, keys::STORAGE).await?;
            let all = format!("{}{}", keys::FILE_PREFIX, keys::PAST_ALL);
            let files =
                self.table.query_all(lab, Query::of_table(keys::FILE_PREFIX, all).consistent()).await?;
            if self.table.get(lab, keys::STORAGE).await? != before {
                continue;
            }
            let size = |item: &Item| item.get("size").and_then(|size| size.as_n().ok()?.parse::<i64>().ok());
            let should: i64 = files.iter().filter_map(size).sum();
            let is = bytes_of(before.as_ref());
            if is == should {
                return Ok(());
            }
            report.add(
                FaultKind::StorageCount,
                keys::STORAGE,
                format!("is {is} bytes instead of {should}"),
                true,
            );
            if !self.writes() {
                return Ok(());
            }
            // Requests that come in between have added to it.
            let attempt = || async {
                let mut transaction = Transaction::new(&self.table, lab);
                let update = Update {
                    expression: format!("ADD {BYTES} :difference"),
                    values: vec![(":difference".to_owned(), number(should - is))],
                    ..Update::default()
                };
                transaction.update(keys::STORAGE, update)?;
                Ok(Attempt::Commit(transaction, ()))
            };
            return self.table.write(Self::retry(), attempt).await;
        }
        Err(Error::unavailable("The database", "the bytes of the files changed during every attempt"))
    }
}

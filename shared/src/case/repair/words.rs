//! Compares the index of words with the names of the cases.

use std::collections::BTreeMap;

use super::{
    super::tokens::{self, NameChange, Words},
    FaultKind, Repair, RepairReport,
    cases::Seen,
};
use crate::{
    base::{CaseId, LabId, error::Error, time::Timestamp},
    table::keys,
};

impl Repair {
    /// Adds the missing words, and removes those that no case has. The report has only their number: words are patient data.
    pub(super) async fn check_words(
        &self,
        lab: LabId,
        seen: &Seen,
        started: Timestamp,
        report: &mut RepairReport,
    ) -> Result<(), Error> {
        let mut tokens = BTreeMap::<CaseId, Words>::new();
        for sk in self.sort_keys(lab, keys::TOKEN_PREFIX).await? {
            let word = sk.strip_prefix(keys::TOKEN_PREFIX).and_then(|rest| Some(rest.rsplit_once('#')?.0));
            if let (Some(word), Some(id)) = (word, keys::case_id(&sk)) {
                report.words += 1;
                tokens.entry(id).or_default().insert(word.to_owned());
            }
        }
        let settled = started.minus(self.unindexed_age);
        let newest = seen.cases.keys().next_back().copied();
        let is_settled = |id: &CaseId| match seen.cases.get(id) {
            Some(case) => case.updated_at.is_none_or(|at| at <= settled),
            // A case that was created meanwhile.
            None => newest.is_some_and(|newest| *id <= newest) || self.unindexed_age.is_zero(),
        };
        let mut changes = Vec::new();
        for (case, after) in seen.cases.iter().map(|(id, case)| (*id, &case.words)) {
            let before: Words = tokens.get(&case).into_iter().flatten().cloned().collect();
            let missing = after.difference(&before).count();
            if missing > 0 && is_settled(&case) {
                report.add(
                    FaultKind::WordsMissing,
                    keys::case(case),
                    format!("{missing} words of its names are missing in the index of words"),
                    true,
                );
                changes.push(NameChange { lab, case, before, after: after.clone() });
            }
        }
        tokens.retain(|id, _| is_settled(id));
        tokens.retain(|id, words| {
            let known = seen.cases.get(id).map(|case| &case.words);
            words.retain(|word| known.is_none_or(|known| !known.contains(word)));
            !words.is_empty()
        });
        for (case, before) in tokens::stale(&self.table, lab, &tokens).await? {
            report.add(
                FaultKind::WordsStale,
                keys::case(case),
                format!("{} words in the index of words are not of its names", before.len()),
                true,
            );
            changes.push(NameChange { lab, case, before, after: Words::new() });
        }
        if self.writes() { tokens::update(&self.table, &changes).await } else { Ok(()) }
    }
}

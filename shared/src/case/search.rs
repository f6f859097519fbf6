//! Finds the cases that may match the words of a search: by the index of words, by their numbers, and, for cases whose words are
//! not in the index yet, by the newest entries of the index by change.

use std::collections::BTreeSet;

use futures_util::future::try_join;

use super::{Case, item::SEARCH, tokens::cut};
use crate::{
    base::{CaseId, error::Error, private::Private, time::Timestamp, words},
    lab::LabScope,
    table::{Consistency, Filter, Index, Item, Order, Query, keys, text},
};

/// The most tokens that the first read of a word reads: about four read units.
const FIRST_READ: u32 = 1000;
/// So few cases are compared without reading the tokens of another word: a page.
const PAGE: usize = 20;
/// So few cases are compared without reading more than the first tokens of each word.
pub(super) const FEW: usize = 300;
/// How many words of a search have reads of their own. The cases that are found must match all words.
const MAX_READS: usize = 5;

/// The words of a search. Each of them must begin a word of the case's names, or be the number of the case or its id.
#[derive(Debug)]
pub(super) struct SearchWords(Private<Vec<String>>);

impl SearchWords {
    /// The words of a text; `None` if it has none.
    pub(super) fn of(text: &str) -> Option<Self> {
        let words = words::of_search(text);
        (!words.is_empty()).then(|| Self(Private::new(words)))
    }

    /// Whether the search finds the case.
    pub(super) fn find(&self, case: &Case) -> bool {
        let names = [&case.fields.patient_name, &case.fields.case_name].into_iter().flatten();
        let beginnings: Vec<String> = names.flat_map(|name| words::beginnings(name.expose())).collect();
        let number = words::of_search(&case.case_number);
        self.words().all(|word| {
            words::is_among(word, &beginnings)
                || number.iter().any(|part| part == word)
                || id_of(word) == Some(case.id) && !word.contains('-')
        })
    }

    /// The ids of all cases that the search can find, and of others: each case must be compared with the words. Returns `None`
    /// if too many words of the lab begin with the words of the search.
    ///
    /// # Errors
    /// Unavailable, when the database fails.
    pub(super) async fn candidates(
        &self,
        lab: &LabScope,
        deleted: bool,
    ) -> Result<Option<BTreeSet<CaseId>>, Error> {
        let recent = async { if deleted { Ok(Vec::new()) } else { self.changed_recently(lab).await } };
        let (indexed, recent) = try_join(self.indexed(lab), recent).await?;
        Ok(indexed.map(|mut found| {
            found.extend(recent);
            found.extend(self.words().filter_map(id_of));
            found
        }))
    }

    /// The cases that the index of words has for all words.
    async fn indexed(&self, lab: &LabScope) -> Result<Option<BTreeSet<CaseId>>, Error> {
        let mut words: Vec<&str> = self.words().map(cut).collect();
        // Fewer words begin with a longer one.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.truncate(MAX_READS);
        let mut reads: Vec<TokenRead> = words.into_iter().map(TokenRead::new).collect();
        // The next word is read only if those before it leave many cases, because each token costs less than a case.
        for (limit, enough) in [(Some(FIRST_READ), PAGE), (None, FEW)] {
            for next in 0..reads.len() {
                if candidates(&reads).is_some_and(|found| found.len() <= enough) {
                    break;
                }
                reads[next].next(lab, limit).await?;
            }
        }
        Ok(candidates(&reads))
    }

    /// The cases that were changed recently, and whose text has all words somewhere.
    async fn changed_recently(&self, lab: &LabScope) -> Result<Vec<CaseId>, Error> {
        let mut filter = Filter::default();
        for word in self.words() {
            filter.text_contains_one_of(SEARCH, [word]);
        }
        let query = Query {
            index: Index::ByUpdate,
            from: text(Timestamp::now().minus(lab.services().unindexed_age).to_string()),
            to: text(keys::PAST_ALL),
            order: Order::Descending,
            filter: Some(&filter),
            limit: None,
            consistency: Consistency::Eventual,
            attributes: &["sk"],
            start: None,
        };
        // One call. A megabyte of changes in an hour is an import, whose first words are in the index of words by then.
        Ok(ids(&lab.table().query(lab.lab_id(), query).await?.items).collect())
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.expose().iter().map(String::as_str)
    }
}

/// The cases that all completed reads have; `None` if none is complete.
fn candidates(reads: &[TokenRead]) -> Option<BTreeSet<CaseId>> {
    let complete = reads.iter().filter(|read| read.is_complete()).map(|read| read.found.clone());
    complete.reduce(|one, other| &one & &other)
}

/// The tokens that begin with a word.
struct TokenRead<'w> {
    word: &'w str,
    found: BTreeSet<CaseId>,
    progress: Progress,
}

enum Progress {
    New,
    /// Stopped at this key.
    Stopped(Item),
    Complete,
}

impl<'w> TokenRead<'w> {
    fn new(word: &'w str) -> Self {
        Self { word, found: BTreeSet::new(), progress: Progress::New }
    }

    fn is_complete(&self) -> bool {
        matches!(self.progress, Progress::Complete)
    }

    /// Reads the next tokens with one call: at most `limit`, or a megabyte, about 30,000.
    async fn next(&mut self, lab: &LabScope, limit: Option<u32>) -> Result<(), Error> {
        let start = match std::mem::replace(&mut self.progress, Progress::Complete) {
            Progress::New => None,
            Progress::Stopped(at) => Some(at),
            Progress::Complete => return Ok(()),
        };
        let (from, to) = keys::tokens(self.word);
        let query = Query { limit, attributes: &["sk"], start, ..Query::of_table(from, to) };
        let page = lab.table().query(lab.lab_id(), query).await?;
        self.found.extend(ids(&page.items));
        if let Some(at) = page.stopped_at {
            self.progress = Progress::Stopped(at);
        }
        Ok(())
    }
}

/// The ids at the ends of the items' sort keys.
fn ids(items: &[Item]) -> impl Iterator<Item = CaseId> {
    items.iter().filter_map(|item| keys::case_id(item.get("sk")?.as_s().ok()?))
}

/// The id that a word names as the number of a case, `riverside-202611-42`, or as its last part, `42`.
fn id_of(word: &str) -> Option<CaseId> {
    let digits = word.rsplit('-').next()?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok().and_then(CaseId::new)).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::{item::to_item, members};

    fn finds(text: &str) -> bool {
        let item = to_item(&json!({
            "id": 42, "lab_id": 123, "version": 1, "status": "pending", "case_number": "RIVERSIDE-202611-42",
            "patient_name": "Jürgen Müller-Lüdenscheidt", "case_name": "Crown 14, Donaudampfschifffahrtselektrizitätenwerk",
            "case_type": "fixed_prosthetic", "priority": "medium", "earliest_due_date": "2026-12-01", "created_by": "1",
            "created_at": "2026-11-24T09:30:00.000Z", "updated_at": "2026-11-24T09:30:00.000Z",
            "status_changed_at": "2026-11-24T09:30:00.000Z",
        }));
        let case = members::from_item(item.unwrap()).unwrap();
        SearchWords::of(text).is_some_and(|words| words.find(&case))
    }

    #[test]
    fn each_word_must_begin_a_word_of_the_names_or_be_the_number_or_the_id() {
        for text in [
            "jurgen",
            "MÜL jür",
            "ludensch",
            "müller-lüd crown",
            "14",
            "42",
            "riverside-202611-42",
            "RIVERSIDE-202611-42 müller",
            "-42",
            "Donaudampfschifffahrtselektrizitätenwerk",
            "donaudampfschifffahrtselektrizitatenwerk jurgen 42",
        ] {
            assert!(finds(text), "{text}");
        }
        for text in [
            "rgen",
            "jurgen meier",
            "4",
            "2",
            "riverside",
            "riverside-202611",
            "northgate-202611-42",
            "202611-42",
            "Donaudampfschifffahrtselektrizitätenwerke",
            "",
            "-",
        ] {
            assert!(!finds(text), "{text}");
        }
    }
}

//! The index of words: an item `TOKEN#{word}#{id}` for each word of a case's names, in the partition of the lab. The function
//! on the streams keeps it. A search reads the tokens that begin with its words, and checks each case that it finds this way:
//! a token is only a hint.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::{Map, Value};

use super::repair::Mode;
use crate::{
    base::{CaseId, LabId, error::Error, words},
    config::RETRY_BUDGET,
    table::{self, Consistency, KeyWrite, Retry, Table, keys},
};

/// How many characters of a word a token has. A search compares longer words on the case.
const MAX_WORD: usize = 40;
/// The most tokens of a case. Its names cannot have more; an item that somebody else wrote could.
const MAX_TOKENS: usize = 400;

/// The words of a case, as its tokens have them.
pub(crate) type Words = BTreeSet<String>;

/// The beginning of a word that a token has.
pub(super) fn cut(word: &str) -> &str {
    word.char_indices().nth(MAX_WORD).map_or(word, |(end, _)| &word[..end])
}

/// The words of the case in an item, given as JSON. An item without names, or not as this service writes it, has none.
pub(crate) fn words_of(item: &Map<String, Value>) -> Words {
    let names = ["patient_name", "case_name"].into_iter().filter_map(|name| item.get(name)?.as_str());
    let beginnings = names.flat_map(words::beginnings);
    beginnings.map(|word| cut(&word).to_owned()).take(MAX_TOKENS).collect()
}

/// A change of the names of a case.
pub(crate) struct NameChange {
    pub lab: LabId,
    pub case: CaseId,
    pub before: Words,
    pub after: Words,
}

/// Changes the tokens of cases whose names have changed.
///
/// A stream delivers a change again, and out of order after a failure. So the change says only which tokens may be wrong: the
/// new ones are added, then the cases are read, and of all these tokens those remain whose words the case has now. If the
/// case is gone, none remains. To add before reading is what keeps tokens away that the end of the case's life has removed
/// in between.
///
/// # Errors
/// Unavailable, when the database fails. A repetition completes the change.
pub(crate) async fn update(table: &Table, changes: &[NameChange]) -> Result<(), Error> {
    let mut touched = BTreeMap::<LabId, BTreeMap<CaseId, Words>>::new();
    let mut added = BTreeSet::new();
    for NameChange { lab, case, before, after } in changes {
        added.extend(after.difference(before).map(|word| KeyWrite::Put(*lab, keys::token(word, *case))));
        let words = touched.entry(*lab).or_default().entry(*case).or_default();
        words.extend(before.union(after).cloned());
    }
    table.write_keys(&Vec::from_iter(added)).await?;
    let mut removed = Vec::new();
    for (lab, cases) in touched {
        for (case, words) in stale(table, lab, &cases).await? {
            removed.extend(words.iter().map(|word| KeyWrite::Delete(lab, keys::token(word, case))));
        }
    }
    table.write_keys(&removed).await
}

/// Adds the missing tokens of cases, each with the words that it should have. Returns the number of missing ones.
///
/// # Errors
/// Unavailable, when the database fails. A repetition completes it.
pub(crate) async fn add_missing(
    table: &Table,
    lab: LabId,
    cases: &BTreeMap<CaseId, Words>,
    mode: Mode,
) -> Result<u64, Error> {
    let token = |(case, words): (&CaseId, &Words)| -> Vec<String> {
        words.iter().map(|word| keys::token(word, *case)).collect()
    };
    let sks: Vec<String> = cases.iter().flat_map(token).collect();
    let retry = Retry::since(Instant::now(), RETRY_BUDGET);
    let existing = table.get_many(lab, &sks, Consistency::Eventual, retry).await?;
    let (mut count, mut changes) = (0, Vec::new());
    for (case, after) in cases {
        let exists = |word: &&String| existing.contains_key(&keys::token(word, *case));
        let before: Words = after.iter().filter(exists).cloned().collect();
        let missing = after.len() - before.len();
        if missing > 0 {
            count += missing as u64;
            changes.push(NameChange { lab, case: *case, before, after: after.clone() });
        }
    }
    if mode == Mode::Write {
        update(table, &changes).await?;
    }
    Ok(count)
}

/// Those of the words that the cases do not have now, live or deleted.
///
/// # Errors
/// Unavailable, when the database fails.
pub(crate) async fn stale(
    table: &Table,
    lab: LabId,
    words: &BTreeMap<CaseId, Words>,
) -> Result<BTreeMap<CaseId, Words>, Error> {
    let now = current(table, lab, words.keys().copied()).await?;
    let mut stale = words.clone();
    for (case, words) in &mut stale {
        words.retain(|word| !now.get(case).is_some_and(|now| now.contains(word)));
    }
    stale.retain(|_, words| !words.is_empty());
    Ok(stale)
}

/// Removes the tokens of a case that is gone.
///
/// # Errors
/// Unavailable, when the database fails.
pub(super) async fn remove(
    table: &Table,
    lab: LabId,
    case: CaseId,
    item: &Map<String, Value>,
) -> Result<(), Error> {
    let words = words_of(item);
    let removed = words.iter().map(|word| KeyWrite::Delete(lab, keys::token(word, case)));
    table.write_keys(&removed.collect::<Vec<_>>()).await
}

/// The words that these cases have now, live or deleted.
async fn current(
    table: &Table,
    lab: LabId,
    cases: impl Iterator<Item = CaseId>,
) -> Result<BTreeMap<CaseId, Words>, Error> {
    let retry = Retry::since(Instant::now(), RETRY_BUDGET);
    let sks: Vec<String> = cases.flat_map(|case| [keys::case(case), keys::deleted(case)]).collect();
    let mut found = BTreeMap::<CaseId, Words>::new();
    for (sk, item) in table.get_many(lab, &sks, Consistency::Strong, retry).await? {
        if let Some(case) = keys::case_id(&sk) {
            found.entry(case).or_default().extend(words_of(&table::from_item(item)?));
        }
    }
    Ok(found)
}

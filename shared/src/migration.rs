//! Brings items of earlier releases up to date: the keys of the indexes, the index of words, and the index of labs. It also
//! corrects an index of words that somebody has changed. It changes no content: cases keep their versions, and no event is
//! written, because all of this follows from the cases and is no part of their sealed state.
//!
//! `tools/migrate` reads the table and calls it. Every step can be repeated.

use std::{
    collections::{BTreeMap, HashMap},
    ops::AddAssign,
};

use aws_sdk_dynamodb::{Config, types::AttributeValue};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::case::repair::Mode;

use crate::{
    base::{CaseId, LabId, error::Error},
    case::{
        Case,
        tokens::{self, NameChange, Words, words_of},
    },
    config::TableConfig,
    table::{self, Item, Table, client, keys},
};

/// How many cases are changed at the same time.
const CONCURRENCY: usize = 8;

/// The configuration of the SDK's client for a table, for the tool that reads the whole table.
///
/// # Errors
/// The text says why the client cannot be made.
pub fn sdk_config(config: &TableConfig) -> Result<Config, String> {
    client::config(config)
}

/// What a migration has done, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Items read.
    pub items: u64,
    /// Live and deleted cases among them.
    pub cases: u64,
    /// Cases that cannot be read as such.
    pub unreadable: u64,
    /// Live cases whose keys of indexes were added or corrected.
    pub keys: u64,
    /// Live cases that a request changed in the meantime. The request has written the keys.
    pub changed_meanwhile: u64,
    /// Words added to the index of words.
    pub words_added: u64,
    /// Words removed from it, because the case does not have them, or is gone.
    pub words_removed: u64,
    /// Labs added to the index of labs.
    pub labs: u64,
    /// About how many capacity units the calls took, without the reading of the whole table.
    pub units: f64,
}

impl Counts {
    /// Whether nothing was to be changed.
    pub fn is_unchanged(&self) -> bool {
        [self.keys, self.words_added, self.words_removed, self.labs] == [0; 4]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.items += other.items;
        self.cases += other.cases;
        self.unreadable += other.unreadable;
        self.keys += other.keys;
        self.changed_meanwhile += other.changed_meanwhile;
        self.words_added += other.words_added;
        self.words_removed += other.words_removed;
        self.labs += other.labs;
        self.units += other.units;
    }
}

/// Migrates items.
pub struct Migration {
    table: Table,
    mode: Mode,
}

/// The cases and the tokens of one lab among some items.
#[derive(Default)]
struct LabItems {
    live: Vec<Item>,
    /// The words of the cases, live and deleted.
    words: BTreeMap<CaseId, Words>,
    /// The words that tokens name.
    tokens: BTreeMap<CaseId, Words>,
    is_unlisted: bool,
}

impl Migration {
    /// Makes the client. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why the client cannot be made.
    pub fn new(config: &TableConfig, mode: Mode) -> Result<Self, String> {
        Ok(Self { table: Table::new(config)?, mode })
    }

    /// Migrates these items of the table.
    ///
    /// # Errors
    /// Unavailable, when the database fails. Some of the items may be migrated.
    pub async fn migrate(&self, items: Vec<HashMap<String, AttributeValue>>) -> Result<Counts, Error> {
        let mut counts = Counts { items: items.len() as u64, ..Counts::default() };
        let mut labs = BTreeMap::<LabId, LabItems>::new();
        for item in items {
            sort(item, &mut labs)?;
        }
        for (lab, found) in labs {
            counts.cases += found.words.len() as u64;
            if found.is_unlisted {
                counts.labs += 1;
                if self.writes() {
                    self.table.list_lab(lab).await?;
                }
            }
            let changes = stream::iter(found.live).map(|item| self.set_keys(lab, item));
            let changes: Vec<Counts> = changes.buffer_unordered(CONCURRENCY).try_collect().await?;
            changes.into_iter().for_each(|change| counts += change);
            counts += self.add_words(lab, &found.words).await?;
            counts += self.remove_words(lab, &found.tokens).await?;
        }
        Ok(counts)
    }

    fn writes(&self) -> bool {
        self.mode == Mode::Write
    }

    /// Corrects the keys of the indexes of a live case.
    async fn set_keys(&self, lab: LabId, item: Item) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let Ok(case) = Case::correctable(item.clone()) else {
            counts.unreadable = 1;
            return Ok(counts);
        };
        let (set, removed) = case.index_key_changes(&item);
        if set.is_empty() && removed.is_empty() {
            return Ok(counts);
        }
        counts.keys = 1;
        if self.writes() {
            let sk = keys::case(case.id);
            // One unit for each kilobyte of the item, and one for each changed index.
            counts.units = (2 + set.len() + removed.len()) as f64;
            if !self.table.set_attributes(lab, &sk, case.version, &set, &removed).await? {
                counts.keys = 0;
                counts.changed_meanwhile = 1;
            }
        }
        Ok(counts)
    }

    /// Adds the missing tokens of cases.
    async fn add_words(&self, lab: LabId, cases: &BTreeMap<CaseId, Words>) -> Result<Counts, Error> {
        let words = cases.values().map(|words| words.len() as f64).sum::<f64>();
        let missing = tokens::add_missing(&self.table, lab, cases, self.mode).await?;
        let written = if missing > 0 { missing as f64 + 2.0 } else { 0.0 };
        Ok(Counts { words_added: missing, units: words / 2.0 + written, ..Counts::default() })
    }

    /// Removes the tokens that are not of a case, or not of its names.
    async fn remove_words(&self, lab: LabId, tokens: &BTreeMap<CaseId, Words>) -> Result<Counts, Error> {
        let mut counts = Counts { units: 2.0 * tokens.len() as f64, ..Counts::default() };
        let mut changes = Vec::new();
        for (case, before) in tokens::stale(&self.table, lab, tokens).await? {
            counts.words_removed += before.len() as u64;
            counts.units += (before.len() + 2) as f64;
            changes.push(NameChange { lab, case, before, after: Words::new() });
        }
        self.update(changes).await.map(|()| counts)
    }

    async fn update(&self, changes: Vec<NameChange>) -> Result<(), Error> {
        if self.writes() { tokens::update(&self.table, &changes).await } else { Ok(()) }
    }
}

/// Puts an item to those of its lab, if the migration concerns it.
fn sort(item: Item, labs: &mut BTreeMap<LabId, LabItems>) -> Result<(), Error> {
    let part = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let (Some(lab), Some(sk)) = (part("lab_id").and_then(|lab| LabId::parse(lab)), part("sk")) else {
        return Ok(());
    };
    let lab = labs.entry(lab).or_default();
    if sk == keys::COUNTER {
        lab.is_unlisted = !item.contains_key("registry");
        return Ok(());
    }
    let Some(case) = keys::case_id(sk) else { return Ok(()) };
    if let Some(token) = sk.strip_prefix(keys::TOKEN_PREFIX) {
        if let Some((word, _)) = token.rsplit_once('#') {
            lab.tokens.entry(case).or_default().insert(word.to_owned());
        }
    } else if sk.starts_with(keys::CASE_PREFIX) || sk.starts_with(keys::DELETED_PREFIX) {
        let json: Map<String, Value> = table::from_item(item.clone())?;
        lab.words.entry(case).or_default().extend(words_of(&json));
        if sk.starts_with(keys::CASE_PREFIX) {
            lab.live.push(item);
        }
    }
    Ok(())
}

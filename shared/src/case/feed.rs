//! The change feed: what was changed or deleted after a cursor, in order, each case at its newest state.
//!
//! Every transaction numbers its changes in one of the lab's shards, without gaps, so a reader knows what is missing: a
//! change that is not to be seen yet is waited for, never passed over. docs/adr/0010-the-change-log.md has the reasons.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize, Serializer};

use super::{Case, Cases, change_set::last_change, item::from_item};
use crate::{
    base::{CaseId, cursor::CursorKey, error::Error, time::Timestamp},
    http::{MAX_RESPONSE_BYTES, PageRequest, Query as Parameters, Request, size_in_response},
    table::{Consistency, Query, keys},
};

/// Where a reader stands: the number of the last change that it has of each shard.
type Numbers = [u64; keys::SHARDS as usize];

/// A case of which nothing is left this long after a change was removed at the end of its retention. Before, the change
/// may just not be visible in all places.
const SETTLED_SECONDS: i64 = 3600;

/// A part of the feed.
#[derive(Serialize)]
pub struct FeedPage {
    changes: Vec<Changed>,
    /// Leads to what comes after.
    next_cursor: String,
    /// Whether something does already.
    has_more: bool,
}

/// A case that was changed.
#[derive(Serialize)]
struct Changed {
    id: CaseId,
    version: u32,
    at: Timestamp,
    deleted: bool,
    /// The case as it is now; `None` when it is deleted.
    #[serde(serialize_with = "as_view")]
    case: Option<Case>,
}

fn as_view<S: Serializer>(case: &Option<Case>, serializer: S) -> Result<S::Ok, S::Error> {
    case.as_ref().map(Case::view).serialize(serializer)
}

/// An entry of a shard's log.
#[derive(Clone, Deserialize)]
struct Entry {
    sk: String,
    case_id: CaseId,
    version: u32,
    at: Timestamp,
}

/// What the feed shows for an entry.
enum FeedState {
    Change(Box<Changed>),
    /// A later entry shows it.
    Superseded,
    /// A read does not yet return the case as the change left it.
    NotYet,
}

impl Cases<'_> {
    /// The changes after `since` (a cursor of this feed; `now` for none yet; from the beginning without it), at most
    /// `limit`. A page may be shorter than that although more follow.
    ///
    /// # Errors
    /// Invalid parameter; invalid cursor.
    pub async fn feed(&self, request: &Request) -> Result<FeedPage, Error> {
        let mut query = Parameters::of(request);
        let since = query.text("since");
        let paging = &self.services.paging;
        let limit = PageRequest::read_limit_of(&mut query, paging).unwrap_or(paging.default_size) as usize;
        query.finish()?;
        let list = format!("changes of {}", self.lab.lab_id());
        let newest = self.newest().await?;
        let mut seen = match since.as_deref() {
            None => Numbers::default(),
            Some("now") => newest,
            Some(cursor) => {
                let position = self.services.cursors.open(&list, cursor)?;
                serde_json::from_slice(&position).map_err(|_| CursorKey::invalid())?
            }
        };
        let entries = self.entries(&seen, &newest, limit).await?;
        let states = self.states(&entries).await?;
        let (mut changes, mut size) = (Vec::new(), 0);
        for (shard, entry) in entries {
            match state_of(&entry, &states) {
                FeedState::Change(change) => {
                    size += size_in_response(&change);
                    if size > MAX_RESPONSE_BYTES && !changes.is_empty() {
                        break;
                    }
                    changes.push(*change);
                }
                FeedState::Superseded => {}
                FeedState::NotYet => break,
            }
            seen[shard] += 1;
        }
        let shown: Vec<CaseId> = changes.iter().filter(|c| c.case.is_some()).map(|c| c.id).collect();
        if !shown.is_empty() {
            self.lab.recorder().record_granted(shown).await?;
        }
        let has_more = seen.iter().zip(newest).any(|(seen, newest)| *seen < newest);
        let position = serde_json::json!(seen).to_string();
        Ok(FeedPage {
            changes,
            next_cursor: self.services.cursors.seal(&list, position.as_bytes()),
            has_more,
        })
    }

    /// The number of the last change in each shard.
    async fn newest(&self) -> Result<Numbers, Error> {
        let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
        let shards = self.table().query_all(self.lab.lab_id(), range.consistent()).await?;
        let mut newest = Numbers::default();
        for shard in &shards {
            let sk = shard.get("sk").and_then(|sk| sk.as_s().ok());
            let number = sk.and_then(|sk| sk.strip_prefix(keys::SHARD_PREFIX)?.parse::<usize>().ok());
            if let Some(slot) = number.and_then(|number| newest.get_mut(number)) {
                *slot = last_change(shard);
            }
        }
        Ok(newest)
    }

    /// The next entries of all shards, merged by time, each with its shard; not beyond what is sure to be complete.
    async fn entries(
        &self,
        seen: &Numbers,
        newest: &Numbers,
        limit: usize,
    ) -> Result<Vec<(usize, Entry)>, Error> {
        let changed: Vec<usize> = (0..seen.len()).filter(|shard| seen[*shard] < newest[*shard]).collect();
        // The shards are filled at random, so this much of each is enough as a rule.
        let most = (2 * limit).div_ceil(changed.len().max(1)).max(10).min(limit);
        let logs = try_join_all(changed.iter().map(|shard| self.log(*shard, seen, newest, most))).await?;
        let mut heads: Vec<_> = changed.into_iter().zip(logs).collect();
        let mut merged: Vec<(usize, Entry)> = Vec::new();
        while merged.len() < limit {
            // A shard of which more is to be read could have the next entry.
            if heads.iter().any(|(_, log)| log.entries.as_slice().is_empty() && !log.is_whole) {
                break;
            }
            let left = heads.iter_mut().filter(|(_, log)| !log.entries.as_slice().is_empty());
            let Some((shard, log)) = left.min_by_key(|(_, log)| log.entries.as_slice()[0].at) else { break };
            merged.extend(log.entries.next().map(|entry| (*shard, entry)));
        }
        Ok(merged)
    }

    /// The next entries of one shard, up to the first that is not to be seen yet.
    async fn log(&self, shard: usize, seen: &Numbers, newest: &Numbers, most: usize) -> Result<Log, Error> {
        let (first, last) = (seen[shard] + 1, newest[shard].min(seen[shard] + most as u64));
        let number = u8::try_from(shard).unwrap_or(u8::MAX);
        let range = Query::of_table(keys::change(number, first), keys::change(number, last));
        let items = self.table().query_all(self.lab.lab_id(), range.consistent()).await?;
        let entries: Vec<Entry> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        let unbroken =
            entries.iter().zip(first..).take_while(|(e, n)| e.sk == keys::change(number, *n)).count();
        let is_whole = first + unbroken as u64 > newest[shard];
        Ok(Log { entries: entries.into_iter().take(unbroken).collect::<Vec<_>>().into_iter(), is_whole })
    }

    /// The cases of entries as they are now, live or deleted.
    async fn states(&self, entries: &[(usize, Entry)]) -> Result<BTreeMap<CaseId, Case>, Error> {
        let mut ids: Vec<CaseId> = entries.iter().map(|(_, entry)| entry.case_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut states = BTreeMap::new();
        for sk in [keys::case as fn(CaseId) -> String, keys::deleted] {
            let sks: Vec<String> =
                ids.iter().filter(|id| !states.contains_key(*id)).map(|id| sk(*id)).collect();
            let found = self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong).await?;
            for item in found.into_values() {
                let case: Case = from_item(item)?;
                states.insert(case.id, case);
            }
        }
        Ok(states)
    }
}

/// The next entries of a shard, and whether they reach its newest.
struct Log {
    entries: std::vec::IntoIter<Entry>,
    is_whole: bool,
}

fn state_of(entry: &Entry, states: &BTreeMap<CaseId, Case>) -> FeedState {
    let Entry { case_id: id, version, at, .. } = *entry;
    match states.get(&id) {
        Some(case) if case.version > version => FeedState::Superseded,
        Some(case) if case.version < version => FeedState::NotYet,
        Some(case) => {
            let deleted = !case.is_live();
            FeedState::Change(Box::new(Changed {
                id,
                version,
                at,
                deleted,
                case: (!deleted).then(|| case.clone()),
            }))
        }
        None if Timestamp::now().epoch_seconds() - at.epoch_seconds() < SETTLED_SECONDS => FeedState::NotYet,
        None => FeedState::Change(Box::new(Changed { id, version, at, deleted: true, case: None })),
    }
}

//! The change feed: the cases that were changed or deleted after a cursor, in order, each in its newest state.
//!
//! Every transaction numbers its changes in one of the lab's shards, without gaps. So a reader sees when a change is not
//! visible yet: the feed stops before it and never skips it. docs/adr/0010-the-change-log.md has the reasons.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::{
    Case, Cases,
    change_set::last_change,
    epoch::{Epochs, FeedCursor, FeedRestart, Numbers},
    item::from_item,
    members,
};
use crate::{
    base::{
        CaseId, LabId,
        cursor::CursorKey,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    http::{MAX_RESPONSE_BYTES, PageRequest, Query as Parameters, Request, size_in_response},
    table::{Consistency, Query, Table, keys},
};

/// A case that does not exist this long after its last change was removed at the end of its retention. Before that time,
/// the read may just not see the case yet.
const SETTLED_SECONDS: i64 = 3600;

/// A page of the feed.
#[derive(Serialize)]
pub struct FeedPage {
    changes: Vec<Changed>,
    /// The cursor for the next changes.
    next_cursor: String,
    /// Whether there are more changes already.
    has_more: bool,
    /// Whether the next of them is not visible yet.
    #[serde(skip)]
    is_waiting: bool,
}

impl FeedPage {
    /// The seconds until the client should ask for the next page, if the next change is not visible yet.
    pub fn retry_after(&self) -> Option<u32> {
        self.is_waiting.then_some(1)
    }
}

/// A changed case.
#[derive(Serialize)]
struct Changed {
    id: CaseId,
    version: u32,
    at: Timestamp,
    deleted: bool,
    /// The case in its newest state; `None` when it is deleted.
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

/// What the feed returns for an entry.
enum FeedState {
    Change(Box<Changed>),
    /// Nothing, because a later entry has the newer state: this version.
    Superseded(u32),
    /// Nothing yet, because the read does not return this version of the case yet.
    NotYet,
}

impl Cases<'_> {
    /// Reads the changes after `since`: a cursor of this feed, or `now` to skip all existing changes; without `since` it
    /// starts at the beginning. The page has at most `limit` changes. It may have fewer although more follow.
    ///
    /// # Errors
    /// Invalid parameter; invalid cursor; feed restarted, when the table was restored to a time before the cursor.
    pub async fn feed(&self, request: &Request) -> Result<FeedPage, Error> {
        let mut query = Parameters::of(request);
        let since = query.text("since");
        let paging = &self.services.paging;
        let limit = PageRequest::read_limit_of(&mut query, paging).unwrap_or(paging.default_size) as usize;
        query.finish()?;
        let list = list_of(self.lab.lab_id());
        let cursors = self.lab.cursors()?;
        let (newest, epochs) = newest(self.table(), self.lab.lab_id()).await?;
        let mut cursor = match since.as_deref() {
            None => epochs.cursor(Numbers::default()),
            Some("now") => epochs.cursor(newest),
            Some(cursor) => {
                let bytes = cursors.open(&list, cursor)?;
                let cursor = FeedCursor::parse(&bytes).ok_or_else(CursorKey::invalid)?;
                let resumed = epochs.resume(cursor, &newest);
                resumed.map_err(|restart| restarted(cursors, &list, &restart))?
            }
        };
        let was_settled = cursor.settled == cursor.position;
        let entries = self.entries(&cursor.position, &newest, limit).await?;
        let states = self.states(&entries).await?;
        let mut is_waiting = entries.is_empty();
        let (mut changes, mut size): (Vec<Changed>, _) = (Vec::new(), 0);
        // The versions because of which entries were skipped. The reader gets them later.
        let mut awaited = BTreeSet::new();
        for (shard, entry) in entries {
            match state_of(&entry, &states) {
                FeedState::Change(change) => {
                    size += size_in_response(&change);
                    if size > MAX_RESPONSE_BYTES && !changes.is_empty() {
                        break;
                    }
                    changes.push(*change);
                }
                FeedState::Superseded(version) => {
                    awaited.insert((entry.case_id, version));
                }
                FeedState::NotYet => {
                    is_waiting = true;
                    break;
                }
            }
            cursor.position[shard] += 1;
        }
        for change in &changes {
            awaited.remove(&(change.id, change.version));
        }
        let returned: Vec<CaseId> = changes.iter().filter(|c| c.case.is_some()).map(|c| c.id).collect();
        if !returned.is_empty() {
            self.lab.recorder().record_granted(returned).await?;
        }
        let has_more = cursor.position.iter().zip(newest).any(|(number, newest)| *number < newest);
        // Versions that earlier pages await are not newer than `newest`, which was read after those pages.
        if awaited.is_empty() && (was_settled || !has_more) {
            cursor.settled = cursor.position;
        }
        Ok(FeedPage {
            changes,
            next_cursor: cursors.seal(&list, &cursor.to_bytes()),
            has_more,
            is_waiting: is_waiting && has_more,
        })
    }

    /// Reads the next entries of all shards, merged by time, each with its shard. It stops where an entry could be missing.
    async fn entries(
        &self,
        position: &Numbers,
        newest: &Numbers,
        limit: usize,
    ) -> Result<Vec<(usize, Entry)>, Error> {
        let changed: Vec<usize> =
            (0..position.len()).filter(|shard| position[*shard] < newest[*shard]).collect();
        // Writers choose shards at random, so this number from each shard is usually enough.
        let max_entries = (2 * limit).div_ceil(changed.len().max(1)).max(10).min(limit);
        let logs =
            try_join_all(changed.iter().map(|shard| self.log(*shard, position, newest, max_entries))).await?;
        let mut heads: Vec<_> = changed.into_iter().zip(logs).collect();
        let mut merged: Vec<(usize, Entry)> = Vec::new();
        while merged.len() < limit {
            // A shard with unread entries could have the next entry.
            if heads.iter().any(|(_, log)| log.entries.as_slice().is_empty() && !log.is_complete) {
                break;
            }
            let left = heads.iter_mut().filter(|(_, log)| !log.entries.as_slice().is_empty());
            let Some((shard, log)) = left.min_by_key(|(_, log)| log.entries.as_slice()[0].at) else { break };
            merged.extend(log.entries.next().map(|entry| (*shard, entry)));
        }
        Ok(merged)
    }

    /// Reads the next entries of one shard, up to the first one that is not visible yet.
    async fn log(
        &self,
        shard: usize,
        position: &Numbers,
        newest: &Numbers,
        max_entries: usize,
    ) -> Result<Log, Error> {
        let first = position[shard] + 1;
        let last = newest[shard].min(position[shard] + max_entries as u64);
        let number = u8::try_from(shard).unwrap_or(u8::MAX);
        let range = Query::of_table(keys::change(number, first), keys::change(number, last));
        let items = self.table().query_all(self.lab.lab_id(), range.consistent()).await?;
        let entries: Vec<Entry> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        let without_gap =
            entries.iter().zip(first..).take_while(|(e, n)| e.sk == keys::change(number, *n)).count();
        let is_complete = first + without_gap as u64 > newest[shard];
        Ok(Log {
            entries: entries.into_iter().take(without_gap).collect::<Vec<_>>().into_iter(),
            is_complete,
        })
    }

    /// Reads the cases of the entries in their newest state: live, deleted, or disposed of. Stops at a state for which there is
    /// no time.
    async fn states(&self, entries: &[(usize, Entry)]) -> Result<BTreeMap<CaseId, State>, Error> {
        let mut ids: Vec<CaseId> = entries.iter().map(|(_, entry)| entry.case_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut states = BTreeMap::new();
        for sk in [keys::case as fn(CaseId) -> String, keys::deleted] {
            let sks: Vec<String> =
                ids.iter().filter(|id| !states.contains_key(*id)).map(|id| sk(*id)).collect();
            let table = self.table();
            let found =
                table.get_some(self.lab.lab_id(), &sks, Consistency::Strong, self.lab.retry()).await?;
            for item in found.items.into_values() {
                let case = members::from_item(item)?;
                states
                    .insert(case.id, State { version: case.version, case: Some(case).filter(Case::is_live) });
            }
            // No version: the feed stops before the change of such a case.
            let unread = ids.iter().filter(|id| found.unread.contains(&sk(**id)));
            states.extend(unread.map(|id| (*id, State { version: 0, case: None })));
        }
        let missing: Vec<CaseId> = ids.into_iter().filter(|id| !states.contains_key(id)).collect();
        states
            .extend(self.disposed(&missing).await?.map(|(id, version)| (id, State { version, case: None })));
        Ok(states)
    }
}

/// The name of the list that the feed of a lab is.
fn list_of(lab: LabId) -> String {
    format!("changes of {lab}")
}

/// Reads the cursor after all existing changes of a lab, as the feed returns it for `since=now`.
///
/// # Errors
/// Unavailable.
pub(crate) async fn newest_cursor(table: &Table, lab: LabId, cursors: &CursorKey) -> Result<String, Error> {
    let (newest, epochs) = newest(table, lab).await?;
    Ok(cursors.seal(&list_of(lab), &epochs.cursor(newest).to_bytes()))
}

/// Reads the number of the last change in each shard, and the epochs of the log.
async fn newest(table: &Table, lab: LabId) -> Result<(Numbers, Epochs), Error> {
    let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
    let shards = table.query_all(lab, range.consistent()).await?;
    let (mut newest, mut epochs) = (Numbers::default(), Epochs::default());
    for shard in shards {
        let sk = shard.get("sk").and_then(|sk| sk.as_s().ok());
        let number = sk.and_then(|sk| sk.strip_prefix(keys::SHARD_PREFIX)?.parse::<usize>().ok());
        if let Some(slot) = number.and_then(|number| newest.get_mut(number)) {
            *slot = last_change(&shard);
        } else if sk.is_some_and(|sk| sk == keys::EPOCHS) {
            epochs = Epochs::of_item(Some(shard))?;
        }
    }
    Ok((newest, epochs))
}

/// The error for a reader who has read changes that are gone.
fn restarted(cursors: &CursorKey, list: &str, FeedRestart { restored_to, next }: &FeedRestart) -> Error {
    let detail = "The data was restored to an earlier time, and changes that you have read are gone. Read the cases again that \
        changed or were deleted at or after restored_to, and go on with next_cursor.";
    let restored_to = restored_to.or(Timestamp::from_epoch_milliseconds(0));
    Error::new(ErrorCode::FeedRestarted, detail)
        .with("restored_to", json!(restored_to))
        .with("next_cursor", json!(cursors.seal(list, &next.to_bytes())))
}

/// The next entries of a shard, and whether they include its newest entry.
struct Log {
    entries: std::vec::IntoIter<Entry>,
    is_complete: bool,
}

/// The newest state of a case: its version, and the case itself if it is live.
struct State {
    version: u32,
    case: Option<Case>,
}

fn state_of(entry: &Entry, states: &BTreeMap<CaseId, State>) -> FeedState {
    let Entry { case_id: id, version, at, .. } = *entry;
    match states.get(&id) {
        Some(state) if state.version > version => FeedState::Superseded(state.version),
        Some(state) if state.version < version => FeedState::NotYet,
        Some(State { case, .. }) => FeedState::Change(Box::new(Changed {
            id,
            version,
            at,
            deleted: case.is_none(),
            case: case.clone(),
        })),
        None if Timestamp::now().epoch_seconds() - at.epoch_seconds() < SETTLED_SECONDS => FeedState::NotYet,
        None => FeedState::Change(Box::new(Changed { id, version, at, deleted: true, case: None })),
    }
}

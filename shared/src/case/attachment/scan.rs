//! The results of GuardDuty's scans for malware. EventBridge delivers them at least once and in any order, so the strongest result
//! counts: infected over clean, and clean over rejected.

use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{EarlyScan, FileState, StoredAttachment, change, complete::is_same_version, state_change};
use crate::{
    base::{AttachmentId, CaseId, LabId, error::Error, seal::SealKeys, wire_enum::Stored},
    case::{
        change_set::{Author, ChangeSet, LogPosition},
        event::Action,
        item::StoredCase,
        write::Shards,
    },
    config::ScansConfig,
    files::parse_key,
    table::{Attempt, Consistency, ItemChange, Retry, Table, Transaction, keys, to_attribute},
};

/// The user of the events. Users of UMS have numbers.
const USER: &str = "system";
/// How long one result is tried to be written.
const BUDGET: Duration = Duration::from_secs(8);

/// A result as EventBridge delivers it: `GuardDuty Malware Protection Object Scan Result`.
#[derive(Clone, Debug, Deserialize)]
pub struct ScanEvent {
    id: String,
    detail: ScanDetail,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScanDetail {
    s3_object_details: ScannedObject,
    scan_result_details: Option<ScanResult>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedObject {
    bucket_name: String,
    object_key: String,
    version_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScanResult {
    scan_result_status: Option<String>,
}

impl ScanEvent {
    /// The state of the file after this result. What was not scanned is rejected.
    fn state(&self) -> FileState {
        let result = self.detail.scan_result_details.as_ref();
        match result.and_then(|result| result.scan_result_status.as_deref()) {
            Some("NO_THREATS_FOUND") => FileState::Clean,
            Some("THREATS_FOUND") => FileState::Infected,
            _ => FileState::Rejected,
        }
    }
}

/// What was done with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanOutcome {
    /// The file has a new state.
    Changed,
    /// The file is not completed yet. The result is kept until then.
    Kept,
    /// The result says nothing new, or is not about a file of this service.
    Ignored,
}

impl ScanOutcome {
    /// The word for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Kept => "kept",
            Self::Ignored => "ignored",
        }
    }
}

/// Writes the results of scans.
pub struct ScanProcessor {
    table: Table,
    seals: SealKeys,
    retention_days: u32,
    bucket: String,
}

impl ScanProcessor {
    /// Makes the client. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why the client cannot be made.
    pub fn new(config: &ScansConfig) -> Result<Self, String> {
        Ok(Self {
            table: Table::new(&config.table)?,
            seals: config.seal.seal_keys(),
            retention_days: config.retention_days,
            bucket: config.bucket.clone(),
        })
    }

    /// Writes a result. It can be repeated.
    ///
    /// # Errors
    /// Unavailable, when the database fails; conflict, when requests change the case for too long. EventBridge then delivers the
    /// result again.
    pub async fn process(&self, event: &ScanEvent) -> Result<ScanOutcome, Error> {
        let object = &event.detail.s3_object_details;
        let key = percent_decode_str(&object.object_key).decode_utf8_lossy();
        let Some((lab, case, id)) = parse_key(&key).filter(|_| object.bucket_name == self.bucket) else {
            return Ok(ScanOutcome::Ignored);
        };
        let retry = Retry::since(Instant::now(), BUDGET);
        self.table.write(retry, || self.attempt(event, lab, case, &id)).await
    }

    async fn attempt(
        &self,
        event: &ScanEvent,
        lab: LabId,
        case: CaseId,
        id: &AttachmentId,
    ) -> Result<Attempt<ScanOutcome>, Error> {
        let shard = Shards::Any.pick();
        let sk = keys::file(case, id.as_str());
        // A case can be deleted while its files are scanned, and be restored later.
        let sks = [sk.clone(), keys::case(case), keys::deleted(case), keys::shard(shard)];
        let retry = Retry::since(Instant::now(), BUDGET);
        let mut items = self.table.get_many(lab, &sks, Consistency::Strong, retry).await?;
        let Some(item) = items.remove(&sk) else { return Ok(Attempt::Done(ScanOutcome::Ignored)) };
        let before = StoredAttachment::from_item(item)?;
        let (state, version_id) = (event.state(), &event.detail.s3_object_details.version_id);
        if before.attachment.state == FileState::Pending.into() {
            return self.keep(lab, &sk, &before, state, version_id);
        }
        let is_news = is_same_version(version_id, &before.internals.version_id)
            && is_stronger(state, &before.attachment.state);
        let case = items.remove(&sks[1]).or_else(|| items.remove(&sks[2]));
        let Some(case) = case.filter(|_| is_news) else { return Ok(Attempt::Done(ScanOutcome::Ignored)) };
        let case = StoredCase::from_item(case)?;
        case.case.newer.check_writable()?;
        let after = case.case.next_version();
        let mut scanned = before.attachment.clone();
        (scanned.state, scanned.scanned_at) = (state.into(), Some(after.updated_at));
        let author = Author {
            table: &self.table,
            lab,
            user_id: USER,
            request_id: &event.id,
            seals: &self.seals,
            retention_days: self.retention_days,
        };
        let mut changes = ChangeSet::by(author, LogPosition::after(shard, items.get(&sks[3])));
        let change = change(Some(&before.attachment), Some(&scanned));
        changes.add_of_part(Action::FileScanned, &case, &after, change)?;
        changes.update(&sk, before.update(state_change(&scanned)?))?;
        changes.commit(ScanOutcome::Changed)
    }

    /// Keeps a result until the file is completed. The store has one version of a file, because it accepts no second one.
    fn keep(
        &self,
        lab: LabId,
        sk: &str,
        before: &StoredAttachment,
        state: FileState,
        version_id: &Option<String>,
    ) -> Result<Attempt<ScanOutcome>, Error> {
        if before.internals.scan.as_ref().is_some_and(|known| !is_stronger(state, &known.state)) {
            return Ok(Attempt::Done(ScanOutcome::Ignored));
        }
        let scan = EarlyScan { state: state.into(), version_id: version_id.clone() };
        let mut transaction = Transaction::new(&self.table, lab);
        let mut change = ItemChange::default();
        change.set("scan", to_attribute(&scan)?);
        transaction.update(sk, before.update(change))?;
        Ok(Attempt::Commit(transaction, ScanOutcome::Kept))
    }
}

/// Whether a result counts more than the state that the file has. Only malware counts more than a state of a newer release.
fn is_stronger(result: FileState, state: &Stored<FileState>) -> bool {
    let strength = |state: FileState| match state {
        FileState::Pending | FileState::Scanning => 0,
        FileState::Rejected => 1,
        FileState::Clean => 2,
        FileState::Infected => 3,
    };
    match state {
        Stored::Known(state) => strength(result) > strength(*state),
        Stored::Newer(_) => result == FileState::Infected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An event as in the documentation of GuardDuty.
    fn event(status: &str, result: serde_json::Value) -> ScanEvent {
        let event = json!({
            "version": "0", "id": "72c7d362-737a-6dce-fc78-9e27a0171419",
            "detail-type": "GuardDuty Malware Protection Object Scan Result", "source": "aws.guardduty",
            "account": "111122223333", "time": "2026-11-24T09:31:20Z", "region": "us-east-1",
            "resources": ["arn:aws:guardduty:us-east-1:111122223333:malware-protection-plan/b4c7f464ab3a4EXAMPLE"],
            "detail": {
                "schemaVersion": "1.0", "scanStatus": status, "resourceType": "S3_OBJECT",
                "s3ObjectDetails": {
                    "bucketName": "lhcms-prod-files", "objectKey": "lab=123/case=1/att_0123456789abcdef",
                    "eTag": "ASIAI44QH8DHBEXAMPLE", "versionId": "d41d8cd98f00b204e9800998eEXAMPLE",
                    "s3Throttled": false,
                },
                "scanResultDetails": result,
            },
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn only_a_file_in_which_nothing_was_found_is_clean() {
        for (status, result, expected) in [
            ("COMPLETED", json!({"scanResultStatus": "NO_THREATS_FOUND", "threats": null}), FileState::Clean),
            (
                "COMPLETED",
                json!({"scanResultStatus": "THREATS_FOUND", "threats": [{"name": "EICAR-Test-File"}]}),
                FileState::Infected,
            ),
            ("SKIPPED", json!({"scanResultStatus": "UNSUPPORTED", "threats": null}), FileState::Rejected),
            ("FAILED", json!({"scanResultStatus": "ACCESS_DENIED", "threats": null}), FileState::Rejected),
            ("FAILED", json!({"scanResultStatus": null}), FileState::Rejected),
            ("FAILED", json!(null), FileState::Rejected),
        ] {
            assert_eq!(event(status, result).state(), expected, "{status}");
        }
    }

    #[test]
    fn the_strongest_result_counts_in_any_order() {
        use FileState::{Clean, Infected, Rejected, Scanning};
        let after = |results: [FileState; 3]| {
            results.into_iter().fold(Scanning, |state, result| {
                if is_stronger(result, &state.into()) { result } else { state }
            })
        };
        for results in [[Clean, Infected, Rejected], [Infected, Rejected, Clean], [Rejected, Clean, Infected]]
        {
            assert_eq!(after(results), Infected);
        }
        assert_eq!(after([Rejected, Clean, Clean]), Clean);
        let newer = Stored::Newer("disarmed".to_owned());
        assert!(is_stronger(Infected, &newer) && !is_stronger(Clean, &newer));
    }
}

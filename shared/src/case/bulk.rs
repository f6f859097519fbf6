//! Changes the status of many cases with one request. Each case has its own transaction and its own result.

use std::collections::BTreeMap;

use futures_util::{StreamExt, future::try_join_all, stream};
use serde::Serialize;
use serde_json::Value;

use super::{Case, Cases, StatusUpdate, write::Shards};
use crate::{
    audit::reveals,
    base::{
        CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
        validate::{Fields, FromObject, case_id, distinct},
    },
    http::{IdempotencyKey, MAX_RESPONSE_BYTES, problem, size_in_response},
    table::Attempt,
};

/// The most cases in one request.
const MAX_CASES: usize = 100;
/// How many cases are changed at the same time. Each worker uses its own shards.
const WORKERS: usize = Shards::WORKERS as usize;

/// A status change of several cases.
pub struct BulkStatusUpdate {
    ids: Vec<CaseId>,
    update: StatusUpdate,
}

impl FromObject for BulkStatusUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let ids = fields.required("ids", distinct(1..=MAX_CASES, case_id));
        let update = StatusUpdate::from_object(fields);
        Some(Self { ids: ids?, update: update? })
    }
}

/// The result of each case, in the order of the request.
#[derive(Serialize)]
pub struct BulkResult {
    results: Vec<CaseResult>,
    succeeded: usize,
    failed: usize,
}

/// The result of one case: the status and the body of the response to a request for this case alone.
#[derive(Serialize)]
struct CaseResult {
    id: CaseId,
    status: u16,
    case: Option<Value>,
    problem: Option<Value>,
}

impl Cases<'_> {
    /// Changes the status of each case separately, so an error of one case does not affect the others. A repeated request
    /// with the same idempotency key changes only the cases that the first one did not change.
    ///
    /// # Errors
    /// Idempotency key reused; unavailable, when the key cannot be stored. The error of a case is in its result.
    pub async fn update_statuses(
        &self,
        bulk: &BulkStatusUpdate,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<BulkResult, Error> {
        if let Some(key) = idempotency_key {
            self.claim(key).await?;
        }
        // The record must exist before any case is changed. The records at the end have the results.
        self.lab.recorder().record_attempt(bulk.ids.clone()).await?;
        let moves =
            bulk.ids.iter().copied().zip((0..Shards::WORKERS).cycle()).map(|(id, worker)| async move {
                let moved = if self.lab.has_time_left() {
                    let key = idempotency_key.map(|key| key.part(id));
                    // At most `WORKERS` consecutive cases are in work at a time, so no two of them use the same shards.
                    self.update_status_of_one(id, &bulk.update, key.as_ref(), Shards::OfWorker(worker)).await
                } else {
                    Err(Error::unavailable("The database", "no time left for the rest of a bulk update"))
                };
                (id, moved)
            });
        let moved: Vec<_> = stream::iter(moves).buffered(WORKERS).collect().await;
        self.record(&moved).await?;
        let mut results: Vec<CaseResult> =
            moved.into_iter().map(|(id, moved)| self.result(id, moved)).collect();
        let mut size = 0;
        for result in &mut results {
            size += size_in_response(result);
            // The case was changed, but a response that is too large would be lost completely.
            result.case.take_if(|_| size > MAX_RESPONSE_BYTES);
        }
        let succeeded = results.iter().filter(|result| result.problem.is_none()).count();
        Ok(BulkResult { succeeded, failed: results.len() - succeeded, results })
    }

    /// Writes the audit records of the results: one for the changed cases, and one for each reason of a refusal.
    async fn record(&self, moved: &[(CaseId, Result<Case, Error>)]) -> Result<(), Error> {
        let recorder = self.lab.recorder();
        let (mut granted, mut refused) = (Vec::new(), BTreeMap::<&str, (ErrorCode, Vec<CaseId>)>::new());
        for (id, moved) in moved {
            match moved.as_ref().map_err(Error::code) {
                Ok(_) => granted.push(*id),
                Err(code) if code == ErrorCode::CaseNotFound || reveals(code) => {
                    refused.entry(code.as_str()).or_insert((code, Vec::new())).1.push(*id);
                }
                // Such an error shows nothing of the case.
                Err(_) => {}
            }
        }
        let refusals = refused.into_values().map(|(code, ids)| recorder.record_refused(code, ids));
        tokio::try_join!(recorder.record_granted(granted), try_join_all(refusals)).map(|_| ())
    }

    fn result(&self, id: CaseId, moved: Result<Case, Error>) -> CaseResult {
        match moved {
            Ok(case) => {
                CaseResult { id, status: 200, case: serde_json::to_value(case.view()).ok(), problem: None }
            }
            Err(error) => CaseResult {
                id,
                status: error.code().status().as_u16(),
                case: None,
                problem: Some(problem(&error, self.lab.request_id())),
            },
        }
    }

    /// Stores the idempotency key of the whole request, unless the same request has stored it before.
    ///
    /// # Errors
    /// Idempotency key reused; conflict.
    async fn claim(&self, key: &IdempotencyKey) -> Result<(), Error> {
        self.write(|| async {
            if self.read_response(key).await?.is_some() {
                return Ok(Attempt::Done(()));
            }
            Ok(Attempt::Commit(self.response_transaction(key, None, Timestamp::now())?, ()))
        })
        .await
    }
}

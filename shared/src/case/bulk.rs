//! Moving many cases with one request: each by itself, and each with its own result.

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;

use super::{Case, Cases, StatusUpdate, stored_response::StoredResponse, write::Shards};
use crate::{
    base::{
        CaseId,
        error::Error,
        time::Timestamp,
        validate::{Fields, FromObject, case_id, distinct},
    },
    http::{IdempotencyKey, MAX_RESPONSE_BYTES, problem, size_in_response},
    table::Attempt,
};

/// The most cases of one request.
const MOST: usize = 100;
/// How many are moved at the same time, each with shards of its own.
const WORKERS: usize = Shards::WORKERS as usize;

/// A move of several cases to another status.
pub struct BulkStatusUpdate {
    ids: Vec<CaseId>,
    update: StatusUpdate,
}

impl FromObject for BulkStatusUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let ids = fields.required("ids", distinct(MOST, case_id));
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

/// The result of one case: the status of the response that a request for it alone would get, and its body.
#[derive(Serialize)]
struct CaseResult {
    id: CaseId,
    status: u16,
    case: Option<Value>,
    problem: Option<Value>,
}

impl Cases<'_> {
    /// Moves each case by itself; what fails for one leaves the others alone. A request with a key that comes again does
    /// not repeat what was done.
    ///
    /// # Errors
    /// Idempotency key reused; unavailable, when the key cannot be kept. What is wrong with a case is in its result.
    pub async fn update_statuses(
        &self,
        bulk: &BulkStatusUpdate,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<BulkResult, Error> {
        if let Some(key) = idempotency_key {
            self.claim(key).await?;
        }
        // No case is moved or shown without a record; a second one at the end says which cases were moved.
        self.lab.recorder().record_granted(bulk.ids.clone()).await?;
        let moves =
            bulk.ids.iter().copied().zip((0..Shards::WORKERS).cycle()).map(|(id, worker)| async move {
                let moved = if self.lab.has_time_left() {
                    let key = idempotency_key.map(|key| key.part(id));
                    // At most `WORKERS` neighbours are under way at a time, so that no two have the same shards.
                    self.update_status_of_one(id, &bulk.update, key.as_ref(), Shards::OfWorker(worker)).await
                } else {
                    Err(Error::unavailable("The database", "no time left for the rest of a bulk update"))
                };
                self.result(id, moved)
            });
        let mut results: Vec<CaseResult> = stream::iter(moves).buffered(WORKERS).collect().await;
        let mut size = 0;
        for result in &mut results {
            size += size_in_response(result);
            // The case was moved, but a response that is too large for it would be lost as a whole.
            result.case.take_if(|_| size > MAX_RESPONSE_BYTES);
        }
        let with = |status: u16| {
            results.iter().filter(move |result| result.status == status).map(|result| result.id)
        };
        let recorder = self.lab.recorder();
        tokio::try_join!(
            recorder.record_granted(with(200).collect()),
            recorder.record_not_found(with(404).collect())
        )?;
        let succeeded = results.iter().filter(|result| result.problem.is_none()).count();
        Ok(BulkResult { succeeded, failed: results.len() - succeeded, results })
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

    /// Stores that a request of several parts was begun, or finds that the same request was.
    ///
    /// # Errors
    /// Idempotency key reused; conflict.
    async fn claim(&self, key: &IdempotencyKey) -> Result<(), Error> {
        self.write(|| async {
            let item = self.table().get(self.lab.lab_id(), &self.response_key(key)).await?;
            if item.map(|item| StoredResponse::read(key, item)).transpose()?.flatten().is_some() {
                return Ok(Attempt::Done(()));
            }
            Ok(Attempt::Commit(self.response_transaction(key, None, Timestamp::now())?, ()))
        })
        .await
    }
}

//! Moving many cases at once: each by itself, and each with its own result.

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;

use super::{Case, CaseId, Cases, StatusChange, transaction::Transaction};
use crate::{
    error::{Code, Error},
    http::{ENOUGH, FromObject, size_in_answer},
    idempotency::IdempotencyKey,
    validate::{Checked, Fields, distinct},
};

/// The most cases of one request.
const MOST: usize = 100;
/// How many are moved at the same time: they share one connection pool, and the lab's shards.
const AT_ONCE: usize = 8;

/// A move of several cases to another status.
pub struct BulkStatusChange {
    ids: Vec<CaseId>,
    change: StatusChange,
}

impl FromObject for BulkStatusChange {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let ids = fields.required("ids", distinct(MOST, case_id));
        let change = StatusChange::from_object(fields);
        Some(Self { ids: ids?, change: change? })
    }
}

fn case_id(value: &Value) -> Checked<CaseId> {
    value.as_u64().and_then(CaseId::new).ok_or_else(|| "must be a case's id".into())
}

/// What became of each case, in the order of the request.
#[derive(Serialize)]
pub struct BulkResult {
    results: Vec<CaseResult>,
    succeeded: usize,
    failed: usize,
}

/// What became of one case: the status of the answer that a request for it alone would get, and its body.
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
        bulk: &BulkStatusChange,
        once: Option<&IdempotencyKey>,
    ) -> Result<BulkResult, Error> {
        if let Some(once) = once {
            self.claim(once).await?;
        }
        // No case is moved and none is shown that is not on record; at the end it tells which were.
        self.lab.recorder().granted(bulk.ids.clone()).await?;
        let moves = bulk.ids.iter().copied().map(|id| async move {
            let moved = if self.lab.has_time_left() {
                let once = once.map(|once| once.part(id));
                self.move_to(id, &bulk.change, None, once.as_ref(), false).await
            } else {
                Err(Error::unavailable("The database", "no time left for the rest of a bulk change"))
            };
            self.result(id, moved)
        });
        let mut results: Vec<CaseResult> = stream::iter(moves).buffered(AT_ONCE).collect().await;
        let mut size = 0;
        for result in &mut results {
            size += size_in_answer(result);
            // The case was moved, but an answer that has no room for it would be lost as a whole.
            result.case.take_if(|_| size > ENOUGH);
        }
        let with = |status: u16| {
            results.iter().filter(move |result| result.status == status).map(|result| result.id)
        };
        let recorder = self.lab.recorder();
        tokio::try_join!(recorder.granted(with(200).collect()), recorder.not_found(with(404).collect()))?;
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
                problem: Some(error.problem(self.lab.request_id())),
            },
        }
    }

    /// Takes a key for a request of several parts, or finds it taken for the same request.
    async fn claim(&self, once: &IdempotencyKey) -> Result<(), Error> {
        let mut retry = self.lab.retry();
        loop {
            let (mut items, _) = self.read_for_change(self.answer_keys(Some(once))).await?;
            if self.is_claimed(once, &mut items)? {
                return Ok(());
            }
            if Transaction::claim(self, once, None, &mut retry).await? {
                return Ok(());
            }
            if !retry.pause().await {
                return Err(Error::new(Code::Conflict, "The same request is being handled. Try again."));
            }
        }
    }
}

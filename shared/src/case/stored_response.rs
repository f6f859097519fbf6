//! What is stored for an idempotency key: the response to the first request, in the transaction that did the work, so that
//! no crash can come between the two.

use serde::{Deserialize, Serialize};

use super::{Case, Cases, WriteOutcome, item::from_item, references::References};
use crate::{
    base::{
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    http::IdempotencyKey,
    table::{Item, keys},
};

/// How long a response is replayed.
const DAYS: u32 = 1;

/// The response to the first request with a key; of a request of several parts, only that it was begun.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredResponse {
    fingerprint: String,
    #[serde(rename = "answer")]
    case: Option<Case>,
    /// Seconds since the Unix epoch. DynamoDB may take days to remove an expired item.
    expires_at: i64,
}

impl StoredResponse {
    /// The response that is given to a request at `now`.
    pub(super) fn new(key: &IdempotencyKey, case: Option<&Case>, now: Timestamp) -> Self {
        let expires_at = now.epoch_seconds_after_days(DAYS);
        Self { fingerprint: key.fingerprint().to_owned(), case: case.cloned(), expires_at }
    }

    /// Reads the item of a key; `None` when it has expired.
    ///
    /// # Errors
    /// Idempotency key reused, when it was made for another request.
    pub(super) fn read(key: &IdempotencyKey, item: Item) -> Result<Option<Self>, Error> {
        let stored: Self = from_item(item)?;
        if stored.expires_at <= Timestamp::now().epoch_seconds() {
            return Ok(None);
        }
        if stored.fingerprint != key.fingerprint() {
            let detail = "The Idempotency-Key was used for another request. Send a new key.";
            return Err(Error::new(ErrorCode::IdempotencyKeyReused, detail));
        }
        Ok(Some(stored))
    }

    /// The case of the response.
    pub(super) fn into_case(self) -> Option<Case> {
        self.case
    }
}

impl Cases<'_> {
    /// The sort key of the response to a request, if the request has a key. Keys are per lab and user.
    pub(super) fn response_keys(&self, key: Option<&IdempotencyKey>) -> Vec<String> {
        key.map(|key| self.response_key(key)).into_iter().collect()
    }

    pub(super) fn response_key(&self, key: &IdempotencyKey) -> String {
        keys::idempotency(self.lab.user_id().as_str(), key.as_str())
    }

    /// The stored response to a request that brings references, for which it is read before LinksHub has answered.
    pub(super) async fn stored_response(
        &self,
        key: Option<&IdempotencyKey>,
        references: &References,
    ) -> Result<Option<Case>, Error> {
        let Some(key) = key else { return Ok(None) };
        if self.lab.linkshub().is_none() || references.is_empty() {
            return Ok(None);
        }
        let item = self.table().get(self.lab.lab_id(), &self.response_key(key)).await?;
        let stored = item.map(|item| StoredResponse::read(key, item)).transpose()?.flatten();
        Ok(stored.and_then(StoredResponse::into_case))
    }

    /// Gives the response to an earlier request once more. No event says that, so it is recorded by itself.
    pub(super) async fn replay(&self, case: Case) -> Result<WriteOutcome, Error> {
        self.lab.recorder().record_granted(vec![case.id]).await?;
        Ok(WriteOutcome::replayed(case))
    }
}

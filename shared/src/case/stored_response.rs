//! Stored responses of requests with an idempotency key. The transaction of a change also stores the response, so either
//! both are written or neither.

use serde::Serialize;

use super::{Case, Cases, Comment, WriteOutcome, item::from_item, members, references::References};
use crate::{
    auth::Permission,
    base::{error::Error, time::Timestamp},
    http::IdempotencyKey,
    lab::{check_stored_response, response_expires_at},
    table::{Consistency, Item},
};

/// The response to the first request with a key. A bulk request stores only that it has begun.
#[derive(Serialize)]
pub(super) struct StoredResponse {
    fingerprint: String,
    #[serde(rename = "answer")]
    case: Option<Case>,
    comment: Option<Comment>,
    /// Seconds since the Unix epoch. DynamoDB may take days to remove an expired item.
    expires_at: i64,
}

impl StoredResponse {
    /// Makes the stored response of a request at `now`.
    pub(super) fn new(key: &IdempotencyKey, case: Option<&Case>, now: Timestamp) -> Self {
        let expires_at = response_expires_at(now);
        Self { fingerprint: key.fingerprint().to_owned(), case: case.cloned(), comment: None, expires_at }
    }

    /// Makes the stored response of a request that created a comment.
    pub(super) fn of_comment(key: &IdempotencyKey, comment: &Comment, now: Timestamp) -> Self {
        Self { comment: Some(comment.clone()), ..Self::new(key, None, now) }
    }

    /// Reads the item of a key. Returns `None` when it has expired.
    ///
    /// # Errors
    /// Idempotency key reused, when the first request was a different one.
    pub(super) fn read(key: &IdempotencyKey, mut item: Item) -> Result<Option<Self>, Error> {
        let Some(expires_at) = check_stored_response(key, &item)? else { return Ok(None) };
        let mut answer = |name: &str| item.remove(name).and_then(|value| value.as_m().ok().cloned());
        let (case, comment) = (answer("answer"), answer("comment"));
        Ok(Some(Self {
            fingerprint: key.fingerprint().to_owned(),
            case: case.map(members::from_item).transpose()?,
            comment: comment.map(from_item).transpose()?,
            expires_at,
        }))
    }

    /// The case of the response.
    pub(super) fn into_case(self) -> Option<Case> {
        self.case
    }

    /// The comment of the response.
    pub(super) fn into_comment(self) -> Option<Comment> {
        self.comment
    }
}

impl Cases<'_> {
    /// The sort key of the stored response, if the request has an idempotency key.
    pub(super) fn response_keys(&self, key: Option<&IdempotencyKey>) -> Vec<String> {
        key.map(|key| self.response_key(key)).into_iter().collect()
    }

    pub(super) fn response_key(&self, key: &IdempotencyKey) -> String {
        self.lab.response_key(key)
    }

    /// Reads the stored response while LinksHub checks the references. A request without references does not need this: it
    /// reads the stored response together with the case.
    pub(super) async fn stored_response(
        &self,
        key: Option<&IdempotencyKey>,
        references: &References,
    ) -> Result<Option<Case>, Error> {
        let Some(key) = key else { return Ok(None) };
        if self.lab.linkshub().is_none() || references.is_empty() {
            return Ok(None);
        }
        Ok(self.read_response(key).await?.and_then(StoredResponse::into_case))
    }

    /// Reads the stored response of a key.
    ///
    /// # Errors
    /// Idempotency key reused.
    pub(super) async fn read_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>, Error> {
        let sks = [self.response_key(key)];
        let items =
            self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong, self.lab.retry()).await?;
        items.into_values().next().map_or(Ok(None), |item| StoredResponse::read(key, item))
    }

    /// Returns a stored response again, and writes an audit record for it. If the case was deleted meanwhile, only a caller
    /// who may see deleted cases gets it.
    ///
    /// # Errors
    /// Case not found.
    pub(super) async fn replay(&self, case: Case) -> Result<WriteOutcome, Error> {
        if !self.lab.allows(Permission::Restore) {
            self.get_stored(case.id).await?;
        }
        self.lab.recorder().record_granted(vec![case.id]).await?;
        Ok(WriteOutcome::replayed(case))
    }
}

//! Idempotent requests: a client that did not get the answer sends the request again with the same key, and gets the
//! first answer instead of a second effect.
//!
//! What was answered is kept in the transaction that did the work, so no crash can come between the two.

use lambda_http::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    canonical,
    case::{Case, CaseId},
    error::{Code, Error},
    time::Timestamp,
};

/// How long an answer is replayed.
const DAYS: u32 = 1;

/// The key of a request, and what the request asks for.
pub struct IdempotencyKey {
    key: String,
    fingerprint: String,
}

impl IdempotencyKey {
    /// The request's `Idempotency-Key`, if there is one; `asked` is what it must ask for each time: the operation and
    /// the body.
    ///
    /// # Errors
    /// Invalid parameter, unless it is 1 to 255 visible ASCII characters, once.
    pub(crate) fn of(headers: &HeaderMap, asked: &Value) -> Result<Option<Self>, Error> {
        let mut values = headers.get_all("idempotency-key").iter();
        let (Some(value), second) = (values.next(), values.next()) else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        let legal = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if second.is_some() || !legal {
            return Err(Error::parameter(
                "/header/Idempotency-Key",
                "must be 1 to 255 visible ASCII characters, once",
            ));
        }
        Ok(Some(Self { key: key.to_owned(), fingerprint: canonical::hash(asked) }))
    }

    /// The key itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.key
    }

    /// The key of one case's part of the request. No request has such a key itself: there is a space in it.
    pub(crate) fn part(&self, id: CaseId) -> Self {
        Self { key: format!("{} {id}", self.key), fingerprint: self.fingerprint.clone() }
    }

    /// What is kept of an answer that is given at `now`; of a request of several parts, that it was begun.
    pub(crate) fn record(&self, answer: Option<&Case>, now: Timestamp) -> Record {
        let expires_at = now.epoch_seconds_after_days(DAYS);
        Record { fingerprint: self.fingerprint.clone(), answer: answer.cloned(), expires_at }
    }

    /// The answer of a record, if it was made for the same request.
    ///
    /// # Errors
    /// Idempotency key reused, when it was made for another.
    pub(crate) fn replay(&self, record: Record) -> Result<Option<Case>, Error> {
        if record.fingerprint == self.fingerprint {
            return Ok(record.answer);
        }
        Err(Error::new(
            Code::IdempotencyKeyReused,
            "The Idempotency-Key was used for another request. Take a new one.",
        ))
    }
}

/// What was answered to a request with a key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    fingerprint: String,
    answer: Option<Case>,
    /// Seconds since the Unix epoch. DynamoDB may take days to remove what has expired.
    expires_at: i64,
}

impl Record {
    /// Whether the record still counts at `now`.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        now.epoch_seconds() < self.expires_at
    }
}

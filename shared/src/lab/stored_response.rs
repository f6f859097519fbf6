//! What all stored responses of requests with an idempotency key have in common: their keys and their expiry.

use super::LabScope;
use crate::{
    base::{
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    http::IdempotencyKey,
    table::{Item, keys},
};

/// How long a response is stored.
const DAYS: u32 = 1;

/// When a response that is stored now expires, in seconds since the Unix epoch.
pub(crate) fn response_expires_at(now: Timestamp) -> i64 {
    now.epoch_seconds_after_days(DAYS)
}

/// Checks the item of a key. `None` when it has expired: DynamoDB may take days to remove it. Otherwise, when it expires.
///
/// # Errors
/// Idempotency key reused, when the first request was a different one.
pub(crate) fn check_stored_response(key: &IdempotencyKey, item: &Item) -> Result<Option<i64>, Error> {
    let expires_at = item.get("expires_at").and_then(|end| end.as_n().ok()?.parse().ok()).unwrap_or(0);
    if expires_at <= Timestamp::now().epoch_seconds() {
        return Ok(None);
    }
    let fingerprint = item.get("fingerprint").and_then(|value| value.as_s().ok());
    let fingerprint = fingerprint.ok_or_else(|| Error::internal("a stored response lacks an attribute"))?;
    if fingerprint != key.fingerprint() {
        let detail = "The Idempotency-Key belongs to another request. Use a new key.";
        return Err(Error::new(ErrorCode::IdempotencyKeyReused, detail));
    }
    Ok(Some(expires_at))
}

impl LabScope {
    /// The sort key of the stored response. Each user in each lab has their own keys.
    pub(crate) fn response_key(&self, key: &IdempotencyKey) -> String {
        keys::idempotency(self.user_id().as_str(), key.as_str())
    }
}

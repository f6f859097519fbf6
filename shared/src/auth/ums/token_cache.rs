//! What UMS answered about tokens. Requests that need the same answer at the same time cause one call.

use std::time::Duration;

use aws_lc_rs::digest;

use crate::{
    auth::AccessToken,
    base::{
        LabId,
        error::{Error, ErrorCode},
    },
    upstream::{Cache, LIFETIME, SingleFlight},
};

/// How long a rejection is kept. A client that tries again and again then costs UMS one call in that time, and a user who
/// was just let in again hardly notices.
const REJECTION_LIFETIME: Duration = Duration::from_secs(5);

/// Which token, and which lab if it matters; the token itself is not kept.
type Key = [u8; digest::SHA256_OUTPUT_LEN];

/// Answers of one kind, by token.
pub(super) struct TokenCache<T> {
    answers: Cache<Key, Result<T, Error>>,
    in_flight: SingleFlight<Key>,
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { answers: Cache::default(), in_flight: SingleFlight::default() }
    }
}

impl<T: Clone> TokenCache<T> {
    /// The answer about the token, in the lab if there is one; if none is kept, that of `fetch`, which is then kept, but
    /// not past the token's end. Failures are not kept.
    pub(super) async fn get_or_fetch(
        &self,
        token: &AccessToken,
        lab: Option<LabId>,
        fetch: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let key = key(token, lab);
        if let Some(known) = self.answers.get(&key) {
            return known;
        }
        let _turn = self.in_flight.wait(key).await;
        // Another request may have fetched it meanwhile.
        if let Some(known) = self.answers.get(&key) {
            return known;
        }
        let answer = fetch.await;
        if let Some(lifetime) = lifetime(&answer) {
            let rest = token.expires_at().saturating_sub(jsonwebtoken::get_current_timestamp());
            self.answers.put(key, answer.clone(), lifetime.min(Duration::from_secs(rest)));
        }
        answer
    }
}

fn lifetime<T>(answer: &Result<T, Error>) -> Option<Duration> {
    match answer {
        Ok(_) => Some(LIFETIME),
        Err(error) => matches!(error.code(), ErrorCode::Unauthorized | ErrorCode::LabForbidden)
            .then_some(REJECTION_LIFETIME),
    }
}

fn key(token: &AccessToken, lab: Option<LabId>) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&lab.map_or(0, LabId::get).to_be_bytes());
    context.update(token.raw().expose().as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

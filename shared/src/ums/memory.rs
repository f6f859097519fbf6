//! What was learned about tokens, each thing asked for once however many want to know it.

use std::time::Duration;

use aws_lc_rs::digest;

use crate::{
    error::{Code, Error},
    lab::LabId,
    token::AccessToken,
    upstream::{Cache, LIFETIME, Turns},
};

/// How long a refusal is kept. A client that tries again and again costs UMS no look-up each time, and someone who was
/// just let in again hardly notices.
const LIFETIME_OF_REFUSALS: Duration = Duration::from_secs(5);

/// Which token, and which lab if it matters; the token itself is not kept.
type Key = [u8; digest::SHA256_OUTPUT_LEN];

pub(super) struct Memory<T> {
    answers: Cache<Key, Result<T, Error>>,
    turns: Turns<Key>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { answers: Cache::default(), turns: Turns::default() }
    }
}

impl<T: Clone> Memory<T> {
    /// What is known about the token, and in the lab if there is one; else the answer of `asking`, which is kept, but
    /// not past the token's end. Failures are not kept.
    pub(super) async fn recall_or(
        &self,
        token: &AccessToken,
        lab: Option<LabId>,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let key = key(token, lab);
        if let Some(known) = self.answers.get(&key) {
            return known;
        }
        let _turn = self.turns.wait(key).await;
        // Somebody may have asked meanwhile.
        if let Some(known) = self.answers.get(&key) {
            return known;
        }
        let answer = asking.await;
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
        Err(error) => {
            matches!(error.code(), Code::Unauthorized | Code::LabForbidden).then_some(LIFETIME_OF_REFUSALS)
        }
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

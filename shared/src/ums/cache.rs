//! What was learned about a token, for a short while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;

use crate::{lab::LabId, time::Timestamp, token::AccessToken};

/// How long a deactivated user can still get in, at most.
const LIFETIME: Duration = Duration::from_secs(60);
/// A warm function serves few users; beyond this many the oldest is forgotten.
const CAPACITY: usize = 512;

/// Which token, and which lab if it matters; the token itself is not kept.
pub(super) type Key = [u8; digest::SHA256_OUTPUT_LEN];

pub(super) struct Cache<T> {
    entries: Mutex<HashMap<Key, Entry<T>>>,
}

struct Entry<T> {
    value: T,
    fresh_until: Instant,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<T: Clone> Cache<T> {
    pub(super) fn key(token: &AccessToken, lab: Option<LabId>) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&lab.map_or(0, LabId::get).to_be_bytes());
        context.update(token.raw().expose().as_bytes());
        let mut key = Key::default();
        key.copy_from_slice(context.finish().as_ref());
        key
    }

    pub(super) fn get(&self, key: &Key) -> Option<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|entry| Instant::now() < entry.fresh_until).map(|entry| entry.value.clone())
    }

    /// Keeps the value for a minute, but not past `expires_at` (seconds since the Unix epoch).
    pub(super) fn put(&self, key: Key, value: T, expires_at: u64) {
        let now = u64::try_from(Timestamp::now().epoch_seconds()).unwrap_or(u64::MAX);
        let lifetime = LIFETIME.min(Duration::from_secs(expires_at.saturating_sub(now)));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.fresh_until).map(|(key, _)| *key);
            oldest.and_then(|key| entries.remove(&key));
        }
        entries.insert(key, Entry { value, fresh_until: Instant::now() + lifetime });
    }
}

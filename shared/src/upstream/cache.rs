//! Caches answers of other services for a short time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// How long the cache keeps a good answer. A deactivated user keeps their access this long at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// The most entries. An instance serves few users. A full cache removes the entry that expires first.
const CAPACITY: usize = 512;

/// A cache whose entries expire.
///
/// The clock is the wall clock. A monotonic clock may stop while Lambda freezes an instance between requests, and then a
/// deactivated user would keep their access for longer.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    stored_at: SystemTime,
    fresh_until: SystemTime,
}

impl<V> Entry<V> {
    /// Whether the entry is still valid. It is not when the clock was set back to before the entry was stored.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.stored_at <= now && now < self.fresh_until
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = SystemTime::now();
        self.entries().get(key).filter(|entry| entry.is_fresh(now)).map(|entry| entry.value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V, lifetime: Duration) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            let oldest =
                entries.iter().min_by_key(|(_, entry)| entry.fresh_until).map(|(key, _)| key.clone());
            oldest.and_then(|key| entries.remove(&key));
        }
        let stored_at = SystemTime::now();
        entries.insert(key, Entry { value, stored_at, fresh_until: stored_at + lifetime });
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_its_lifetime() {
        let cache = Cache::default();
        cache.put(1, "kept", LIFETIME);
        cache.put(2, "over", Duration::ZERO);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (Some("kept"), None, None));
    }

    #[test]
    fn a_cached_answer_is_valid_for_its_lifetime_by_the_wall_clock() {
        let stored_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_512_600);
        let entry = Entry { value: (), stored_at, fresh_until: stored_at + LIFETIME };
        let second = Duration::from_secs(1);
        assert!(entry.is_fresh(stored_at) && entry.is_fresh(stored_at + LIFETIME - second));
        assert!(!entry.is_fresh(stored_at + LIFETIME) && !entry.is_fresh(stored_at - second));
    }

    #[test]
    fn a_full_cache_removes_the_entry_that_expires_first() {
        let cache = Cache::default();
        cache.put(0, (), LIFETIME / 2);
        for key in 1..=CAPACITY {
            cache.put(key, (), LIFETIME);
        }
        assert_eq!(cache.entries().len(), CAPACITY);
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&CAPACITY)), (None, Some(()), Some(())));
        cache.put(1, (), LIFETIME);
        assert_eq!(cache.entries().len(), CAPACITY, "renewing an entry removes no other");
    }
}

//! What services next to this one told, for a short while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// How long good answers are kept: so long can someone who was deactivated still get in, at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// A warm function serves few users; beyond this many the one that ends first is forgotten.
const CAPACITY: usize = 512;

/// The clock is the wall clock: a monotonic one may stand still while Lambda has an instance frozen between requests, and
/// with it the minute after which a deactivated user is out.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    kept_at: SystemTime,
    fresh_until: SystemTime,
}

impl<V> Entry<V> {
    /// Whether it still counts; not if the clock was set back behind the moment at which it was kept.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.kept_at <= now && now < self.fresh_until
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
            let first = entries.iter().min_by_key(|(_, entry)| entry.fresh_until).map(|(key, _)| key.clone());
            first.and_then(|key| entries.remove(&key));
        }
        let kept_at = SystemTime::now();
        entries.insert(key, Entry { value, kept_at, fresh_until: kept_at + lifetime });
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
    fn an_answer_counts_from_when_it_was_kept_to_its_end_by_the_wall_clock() {
        let kept_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_512_600);
        let entry = Entry { value: (), kept_at, fresh_until: kept_at + LIFETIME };
        let second = Duration::from_secs(1);
        assert!(entry.is_fresh(kept_at) && entry.is_fresh(kept_at + LIFETIME - second));
        assert!(!entry.is_fresh(kept_at + LIFETIME) && !entry.is_fresh(kept_at - second));
    }

    #[test]
    fn a_full_cache_forgets_what_ends_first() {
        let cache = Cache::default();
        cache.put(0, (), LIFETIME / 2);
        for key in 1..=CAPACITY {
            cache.put(key, (), LIFETIME);
        }
        assert_eq!(cache.entries().len(), CAPACITY);
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&CAPACITY)), (None, Some(()), Some(())));
        cache.put(1, (), LIFETIME);
        assert_eq!(cache.entries().len(), CAPACITY, "renewing an entry costs no other");
    }
}

//! What services next to this one told, for a short while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long good answers are kept: so long can someone who was deactivated still get in, at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// A warm function serves few users; beyond this many the one that ends first is forgotten.
const CAPACITY: usize = 512;

pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    fresh_until: Instant,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = Instant::now();
        self.entries().get(key).filter(|entry| now < entry.fresh_until).map(|entry| entry.value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V, lifetime: Duration) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            let first = entries.iter().min_by_key(|(_, entry)| entry.fresh_until).map(|(key, _)| key.clone());
            first.and_then(|key| entries.remove(&key));
        }
        entries.insert(key, Entry { value, fresh_until: Instant::now() + lifetime });
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

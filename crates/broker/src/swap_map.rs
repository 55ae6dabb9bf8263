//! A map from names to shared values that readers look into without a lock.
//!
//! Each shard is an immutable map behind an `ArcSwap`: readers take none, writers replace the
//! shard under its mutex. Made for tables that are read by every request and changed seldom.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

/// More shards make a change of a large table cheaper; readers do not mind.
const SHARDS: usize = 32;

type Shard<V> = HashMap<Arc<str>, Arc<V>>;

/// The entries of a shard, and what writers of it hold.
type Slot<V> = (ArcSwap<Shard<V>>, Mutex<()>);

pub struct SwapMap<V> {
    shards: Box<[Slot<V>]>,
    hasher: RandomState,
}

impl<V> Default for SwapMap<V> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| (ArcSwap::default(), Mutex::new(()))).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl<V> SwapMap<V> {
    fn shard(&self, name: &str) -> &Slot<V> {
        // Masked to the number of shards, so the index is in range.
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
    }

    pub fn get(&self, name: &str) -> Option<Arc<V>> {
        self.shard(name).0.load().get(name).cloned()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.shard(name).0.load().contains_key(name)
    }

    /// Sets the value of `name` and returns the one it had.
    pub fn insert(&self, name: &str, value: Arc<V>) -> Option<Arc<V>> {
        let (shard, writers) = self.shard(name);
        let _writing = lock(writers);
        let mut map = Shard::clone(&shard.load());
        let old = map.insert(name.into(), value);
        shard.store(Arc::new(map));
        old
    }

    /// The value of `name`, made by `make` if there is none; true if it was made now.
    pub fn get_or_insert_with(&self, name: &str, make: impl FnOnce() -> V) -> (Arc<V>, bool) {
        if let Some(there) = self.get(name) {
            return (there, false);
        }
        let (shard, writers) = self.shard(name);
        let _writing = lock(writers);
        if let Some(there) = shard.load().get(name) {
            return (there.clone(), false);
        }
        let made = Arc::new(make());
        let mut map = Shard::clone(&shard.load());
        map.insert(name.into(), made.clone());
        shard.store(Arc::new(map));
        (made, true)
    }

    pub fn remove(&self, name: &str) -> Option<Arc<V>> {
        let (shard, writers) = self.shard(name);
        let _writing = lock(writers);
        if !shard.load().contains_key(name) {
            return None;
        }
        let mut map = Shard::clone(&shard.load());
        let old = map.remove(name);
        shard.store(Arc::new(map));
        old
    }

    /// Visits all values, in no order.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<V>)) {
        for (shard, _) in &self.shards {
            shard.load().values().for_each(&mut visit);
        }
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|(shard, _)| shard.load().len()).sum()
    }

    /// All entries, sorted by name.
    pub fn entries(&self) -> Vec<(Arc<str>, Arc<V>)> {
        let mut all: Vec<_> = self
            .shards
            .iter()
            .flat_map(|(shard, _)| {
                let map = shard.load();
                map.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
            })
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

/// Locks a mutex whose data stays whole whatever panics while it is held.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_sorted_and_survive_changes() {
        let map = SwapMap::default();
        for name in ["b", "c", "a"] {
            map.insert(name, Arc::new(name.len()));
        }
        map.remove("c");
        let names: Vec<_> = map.entries().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a".into(), "b".into()] as [Arc<str>; 2]);
        assert_eq!(map.len(), 2);
        assert!(map.get("c").is_none());
    }

    #[test]
    fn a_value_is_made_once() {
        let map = SwapMap::default();
        assert!(map.get_or_insert_with("x", || 1).1);
        let (value, made) = map.get_or_insert_with("x", || 2);
        assert_eq!((*value, made), (1, false));
    }
}

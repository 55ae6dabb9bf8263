//! Open files, a bounded number of them: what is not used for a while is closed and opened again
//! when asked for. Queues by the hundred thousand share these.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile, DiskResult, lock};

/// A file within the store: whose it is, and its first offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    /// 0 is the commit log, others are queues.
    pub owner: u64,
    pub base: u64,
}

/// Closes by the clock rule: a file goes when the hand meets it unused since its last round.
#[derive(Debug)]
pub(crate) struct Handles {
    disk: Arc<dyn Disk>,
    capacity: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    slots: Vec<Slot>,
    index: HashMap<FileKey, usize>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    key: FileKey,
    file: Arc<dyn DiskFile>,
    used: bool,
}

impl Handles {
    pub(crate) fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        Self { disk, capacity: capacity.max(1), open: Mutex::default() }
    }

    /// The file, opened if it is not.
    pub(crate) fn get(
        &self,
        key: FileKey,
        path: impl FnOnce() -> PathBuf,
    ) -> DiskResult<Arc<dyn DiskFile>> {
        {
            let mut open = lock(&self.open);
            if let Some(slot) = open.index.get(&key).copied() {
                open.slots[slot].used = true;
                return Ok(Arc::clone(&open.slots[slot].file));
            }
        }
        let file = self.disk.open(&path())?;
        self.insert(key, Arc::clone(&file));
        Ok(file)
    }

    /// Keeps an open file.
    pub(crate) fn insert(&self, key: FileKey, file: Arc<dyn DiskFile>) {
        let mut open = lock(&self.open);
        let slot = Slot { key, file, used: true };
        if let Some(at) = open.index.get(&key).copied() {
            open.slots[at] = slot;
        } else if open.slots.len() < self.capacity {
            let at = open.slots.len();
            open.index.insert(key, at);
            open.slots.push(slot);
        } else {
            let at = open.next_unused();
            let gone = open.slots[at].key;
            open.index.remove(&gone);
            open.index.insert(key, at);
            open.slots[at] = slot;
        }
    }

    /// Lets go of a file that is being deleted.
    pub(crate) fn forget(&self, key: FileKey) {
        lock(&self.open).remove(key);
    }

    /// Lets go of one owner's files that begin before `base`.
    pub(crate) fn forget_before(&self, owner: u64, base: u64) {
        let mut open = lock(&self.open);
        let is_gone = |key: &&FileKey| key.owner == owner && key.base < base;
        let keys: Vec<_> = open.index.keys().filter(is_gone).copied().collect();
        for key in keys {
            open.remove(key);
        }
    }

    /// Lets go of all files of one owner.
    pub(crate) fn forget_owner(&self, owner: u64) {
        let mut open = lock(&self.open);
        let keys: Vec<_> = open.index.keys().filter(|key| key.owner == owner).copied().collect();
        for key in keys {
            open.remove(key);
        }
    }

    /// Files open now.
    pub(crate) fn count(&self) -> usize {
        lock(&self.open).slots.len()
    }
}

impl Open {
    fn next_unused(&mut self) -> usize {
        loop {
            let at = self.hand % self.slots.len();
            self.hand = at + 1;
            if !std::mem::replace(&mut self.slots[at].used, false) {
                return at;
            }
        }
    }

    fn remove(&mut self, key: FileKey) {
        if let Some(at) = self.index.remove(&key) {
            self.slots.swap_remove(at);
            if let Some(moved) = self.slots.get(at) {
                self.index.insert(moved.key, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Allocation, SimDisk};

    #[test]
    fn no_more_than_the_capacity_is_open_and_every_file_is_found() {
        let disk = SimDisk::new(1);
        let path = |base: u64| PathBuf::from(format!("/q/{base}"));
        for base in 0..20 {
            disk.create(&path(base), base, Allocation::Sparse).expect("nothing fails");
        }
        let handles = Handles::new(Arc::new(disk), 4);
        for round in 0..3 {
            for base in 0..20 {
                let key = FileKey { owner: 1 + round % 2, base };
                let file = handles.get(key, || path(base)).expect("the file is there");
                assert_eq!(file.len(), base);
                assert!(handles.count() <= 4);
            }
        }
        handles.forget_owner(1);
        handles.forget(FileKey { owner: 2, base: 19 });
        assert_eq!(handles.count(), 0);
        let gone = handles.get(FileKey { owner: 1, base: 99 }, || Path::new("/q/x").into());
        assert!(gone.is_err_and(|error| error.is_not_found()));
    }
}

//! Files of the group that hold something not durable yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skua_store::Store;
use skua_store::disk::{DiskFile, DiskResult};

#[derive(Debug, Default)]
pub(crate) struct Dirty {
    files: Mutex<Vec<Arc<dyn DiskFile>>>,
    /// One at a time: who finds nothing to do must know that it is done.
    syncing: Mutex<()>,
}

impl Dirty {
    pub fn add(&self, file: &Arc<dyn DiskFile>) {
        let mut files = lock(&self.files);
        if !files.iter().any(|other| other.path() == file.path()) {
            files.push(Arc::clone(file));
        }
    }

    /// The file is gone.
    pub fn forget(&self, file: &Arc<dyn DiskFile>) {
        lock(&self.files).retain(|other| other.path() != file.path());
    }

    pub fn sync(&self) -> DiskResult<()> {
        let _syncing = lock(&self.syncing);
        let files = std::mem::take(&mut *lock(&self.files));
        files.iter().try_for_each(|file| file.sync())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes durable what an [`Effect::Sync`](crate::Effect::Sync) waits for; for a thread of its own.
#[derive(Clone, Debug)]
pub struct Syncer {
    pub(crate) store: Arc<Store>,
    pub(crate) dirty: Arc<Dirty>,
}

impl Syncer {
    /// Syncs the commit log and the index, one after the other: two threads at once were no faster.
    /// After an error the process must end: what the kernel
    /// did not save once it never saves.
    pub fn sync(&self) -> DiskResult<()> {
        self.store.flush_now()?;
        self.dirty.sync()
    }
}

//! The folders that the log's files lie in.
//!
//! With one folder there is nothing to say. With several (Java: `MultiPathMappedFileQueue`) the
//! file with number n, its first offset divided by the files' length, is made in folder n of those
//! that are neither read-only nor nearly full, by name, going round.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use crate::disk::{Disk, DiskResult, Listed};
use crate::options::StoreOptions;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Folders {
    /// Those that files may be made in come first, by name.
    all: Vec<PathBuf>,
    writable: usize,
    /// First offsets of files that are not in the first folder.
    elsewhere: RwLock<HashMap<u64, usize>>,
    /// Folders that are nearly full.
    full: RwLock<Vec<usize>>,
}

impl Folders {
    pub(crate) fn new(options: &StoreOptions) -> Self {
        let is_read_only = |dir: &PathBuf| options.commit_log_read_only.contains(dir);
        let given = std::iter::once(&options.commit_log).chain(&options.commit_log_more);
        let mut all: Vec<_> = given.filter(|dir| !is_read_only(dir)).cloned().collect();
        all.sort();
        all.dedup();
        let writable = all.len();
        let mut read_only = options.commit_log_read_only.clone();
        read_only.sort();
        read_only.dedup();
        all.extend(read_only);
        Self { all, writable, elsewhere: RwLock::default(), full: RwLock::default() }
    }

    /// One that files may be made in.
    pub(crate) fn first(&self) -> &Path {
        &self.all[0]
    }

    pub(crate) fn writable(&self) -> &[PathBuf] {
        &self.all[..self.writable]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writable == 0
    }

    /// Everything in them that is no folder, by name; remembers where.
    pub(crate) fn list(
        &self,
        disk: &dyn Disk,
        base_of: impl Fn(&str) -> Option<u64>,
    ) -> DiskResult<Vec<(PathBuf, Listed)>> {
        let mut listed = Vec::new();
        for (nth, dir) in self.all.iter().enumerate() {
            for entry in disk.list(dir)?.into_iter().filter(|entry| !entry.is_dir) {
                if nth > 0
                    && let Some(base) = base_of(&entry.name)
                {
                    self.elsewhere().insert(base, nth);
                }
                listed.push((dir.join(&entry.name), entry));
            }
        }
        listed.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// The folder of the file at `base`, or the first.
    pub(crate) fn of(&self, base: u64) -> &Path {
        if self.all.len() == 1 {
            return self.first();
        }
        let elsewhere = self.elsewhere.read().unwrap_or_else(|e| e.into_inner());
        &self.all[elsewhere.get(&base).copied().unwrap_or(0)]
    }

    /// Chooses the folder of a new file, and remembers it.
    pub(crate) fn choose(&self, base: u64, file_size: u64) -> &Path {
        if self.writable == 1 {
            return self.first();
        }
        let full = self.full.read().unwrap_or_else(|e| e.into_inner());
        let mut able: Vec<_> = (0..self.writable).filter(|nth| !full.contains(nth)).collect();
        if able.is_empty() {
            able = (0..self.writable).collect();
        }
        let nth = able[(base / file_size % able.len() as u64) as usize];
        if nth > 0 {
            self.elsewhere().insert(base, nth);
        }
        &self.all[nth]
    }

    /// The file at `base` is gone.
    pub(crate) fn forget(&self, base: u64) {
        if self.all.len() > 1 {
            self.elsewhere().remove(&base);
        }
    }

    /// No new files in those folders, of [`writable`](Self::writable), while there are others.
    pub(crate) fn set_full(&self, full: Vec<usize>) {
        *self.full.write().unwrap_or_else(|e| e.into_inner()) = full;
    }

    /// Makes the names in all of them durable.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> DiskResult<()> {
        for dir in &self.all {
            match disk.sync_dir(dir) {
                Err(cause) if cause.is_not_found() => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    fn elsewhere(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u64, usize>> {
        self.elsewhere.write().unwrap_or_else(|e| e.into_inner())
    }
}

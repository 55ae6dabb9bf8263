//! Letting go of the oldest file.

use std::sync::Arc;

use super::{CommitLog, LOG};
use crate::disk::{DiskResult, lock};

impl CommitLog {
    /// Deletes the first file, if it is that at `base` and not the last one.
    pub(crate) fn remove_first(&self, base: u64) -> DiskResult<()> {
        {
            // First, so that nobody begins to read it.
            let mut files = self.files.write().unwrap_or_else(|e| e.into_inner());
            if files.len() < 2 || files[0] != base {
                return Ok(());
            }
            files.remove(0);
        }
        if let Err(cause) = self.disk.remove(&self.path(base)) {
            // It is there still; without it, the next to go would leave a hole.
            self.files.write().unwrap_or_else(|e| e.into_inner()).insert(0, base);
            return Err(cause);
        }
        let min = self.min();
        // A mapping or an open descriptor would keep the space.
        let gone = {
            let _tail = lock(&self.tail);
            let hot = self.hot.load();
            let kept = hot.iter().filter(|window| window.range.end > min).cloned().collect();
            self.hot.swap(Arc::new(kept))
        };
        drop(gone);
        self.handles.forget_before(LOG, min);
        // Each for itself: after a power cut no file is missing between two.
        let dir = self.folders.of(base).to_owned();
        self.folders.forget(base);
        self.disk.sync_dir(&dir)
    }
}

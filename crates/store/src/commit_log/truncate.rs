//! Taking back the end of the log, and whether appends are taken at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CommitLog, LOG};
use crate::disk::{Allocation, DiskResult, lock};
use crate::error::ReplicateError;
use crate::gate::Epoch;
use crate::handles::FileKey;

impl CommitLog {
    /// Takes appends from now on, if the log still ends at `end`, in the epoch that `begin` gives.
    pub(crate) fn open_appends(&self, end: u64, begin: impl FnOnce() -> Epoch) -> Option<Epoch> {
        let mut tail = lock(&self.tail);
        if tail.end != end || tail.closed {
            return None;
        }
        tail.epoch = Some(begin());
        tail.epoch
    }

    /// Takes no appends; none is under way when this returns.
    pub(crate) fn close_appends(&self) {
        lock(&self.tail).epoch = None;
    }

    pub(crate) fn resume_appends(&self, epoch: Epoch) {
        lock(&self.tail).epoch = Some(epoch);
    }

    /// Deletes every file; the log begins and ends at `at`.
    pub(crate) fn begin_anew(&self, at: u64) -> DiskResult<()> {
        let mut tail = lock(&self.tail);
        let _making = lock(&self.making);
        let mut prepared = lock(&self.prepared);
        prepared.take();
        tail.windows.clear();
        self.hot.store(Arc::default());
        for base in self.files().into_iter().rev() {
            self.handles.forget(FileKey { owner: LOG, base });
            self.disk.remove(&self.path(base))?;
            self.disk.sync_dir(self.folders.of(base))?;
            self.folders.forget(base);
            self.files.write().unwrap_or_else(|e| e.into_inner()).pop();
        }
        tail.end = at;
        tail.wake_at = u64::MAX;
        self.appended.store(at, Ordering::SeqCst);
        self.blocks.clear();
        Ok(())
    }

    /// Makes the file of a log that begins at `at`: without it the next start would not know
    /// where that was, and miss what the checkpoint says.
    pub(crate) fn make_first(&self, at: u64) -> Result<(), ReplicateError> {
        self.add_file(at).map_err(|cause| match cause.is_full() {
            true => ReplicateError::NoSpace(cause),
            false => self.fail(cause).into(),
        })
    }

    /// Takes back everything from `to` on. Nobody may hold bytes of it, or have seen any.
    pub(crate) fn truncate(&self, to: u64) -> DiskResult<()> {
        let mut tail = lock(&self.tail);
        // Nobody makes a file or a window meanwhile.
        let _making = lock(&self.making);
        let mut prepared = lock(&self.prepared);
        let end = tail.end;
        if to >= end {
            return Ok(());
        }
        prepared.take();
        tail.windows.clear();
        // Readers of what stays go on in windows that are not written any more.
        let hot = self.hot.load_full();
        for window in hot.iter().filter(|window| window.range.end > to) {
            window.reader.retire();
        }
        let kept = hot.iter().filter(|window| window.range.end <= to).cloned().collect();
        self.hot.store(Arc::new(kept));
        tail.end = to;
        tail.wake_at = u64::MAX;
        self.appended.store(to, Ordering::SeqCst);
        // The last first: whenever the machine ends, no file is missing between two.
        while let [.., last] = self.files()[..]
            && last > to
        {
            self.handles.forget(FileKey { owner: LOG, base: last });
            self.disk.remove(&self.path(last))?;
            self.disk.sync_dir(self.folders.of(last))?;
            self.folders.forget(last);
            self.files.write().unwrap_or_else(|e| e.into_inner()).pop();
        }
        if let Some(base) = self.file_of(to) {
            let file = self.file(base)?;
            let end = end.min(base + self.file_size);
            file.zero(to - base..end - base, Allocation::Reserved)?;
            file.sync()?;
        }
        // Last: whatever was read before this holds bytes that are gone.
        self.blocks.clear();
        Ok(())
    }
}

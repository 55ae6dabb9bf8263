//! The log as a copy of another broker's: bytes that are stored as they came.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use skua_protocol::Millis;

use super::append::{publish, put_whole};
use super::{CommitLog, LOG};
use crate::disk::{DiskResult, Wait, lock};
use crate::error::{ReadError, ReplicateError};
use crate::handles::FileKey;

impl CommitLog {
    /// Appends bytes that lie in one file and begin where the log ends; `newest` is the store time
    /// of their last record.
    pub(crate) fn append_copy(
        &self,
        at: u64,
        bytes: &[u8],
        newest: Option<Millis>,
    ) -> Result<(), ReplicateError> {
        let wake;
        {
            let mut tail = lock(&self.tail);
            let tail = &mut *tail;
            if self.refusing.load(Ordering::Relaxed) {
                return Err(self.failure().map_or(ReplicateError::Closed, ReplicateError::Failed));
            }
            if tail.epoch.is_some() {
                return Err(ReplicateError::Own);
            }
            if at != tail.end {
                return Err(ReplicateError::NotTheEnd { at, end: tail.end });
            }
            let to = at + bytes.len() as u64;
            self.cover(tail, at, to).map_err(|cause| match cause.is_full() {
                true => ReplicateError::NoSpace(cause),
                false => self.fail(cause).into(),
            })?;
            if let Some(newest) = newest {
                self.last_timestamp.fetch_max(newest.0.max(0) as u64, Ordering::Relaxed);
            }
            put_whole(tail, at, bytes).map_err(|cause| self.fail(cause))?;
            tail.end = to;
            publish(tail);
            self.appended.store(to, Ordering::SeqCst);
            wake = to >= tail.wake_at;
            if wake {
                tail.wake_at = u64::MAX;
                self.window_wanted.store(true, Ordering::SeqCst);
            }
        }
        if wake {
            self.files_wanted.wake();
        }
        Ok(())
    }

    /// Lets an empty log begin at `at`, the start of a file. False if it is not empty.
    pub(crate) fn begin_at(&self, at: u64) -> DiskResult<bool> {
        let mut tail = lock(&self.tail);
        // Nobody makes a file or a window meanwhile.
        let _making = lock(&self.making);
        let mut prepared = lock(&self.prepared);
        if tail.end != self.min() {
            return Ok(false);
        }
        if tail.end == at {
            return Ok(true);
        }
        // At most the one that was made ahead.
        for base in self.files() {
            self.handles.forget(FileKey { owner: LOG, base });
            self.disk.remove(&self.path(base))?;
            self.disk.sync_dir(self.folders.of(base))?;
            self.folders.forget(base);
        }
        self.files.write().unwrap_or_else(|e| e.into_inner()).clear();
        prepared.take();
        tail.windows.clear();
        self.hot.store(Arc::default());
        self.blocks.clear();
        tail.end = at;
        tail.wake_at = u64::MAX;
        self.appended.store(at, Ordering::SeqCst);
        Ok(true)
    }

    /// `from..from + len`, without a copy if it lies in one window.
    pub(crate) fn bytes(&self, from: u64, len: usize, wait: Wait) -> Result<Bytes, ReadError> {
        if let Some(bytes) = self.hot_bytes(from, len) {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        self.read_into(from, len, wait, &mut bytes)?;
        Ok(bytes.into())
    }
}

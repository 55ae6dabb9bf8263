//! The index as a thread of the store sees it.

use std::time::Duration;

use skua_protocol::Millis;

use super::Snapshot;
use crate::checkpoint::IndexMark;
use crate::disk::{DiskError, DiskResult};
use crate::error::ReadError;
use crate::store::Store;

/// How long indexing rests when it has caught up and more comes: the work for many records at
/// once costs less than for each.
const REST: Duration = Duration::from_millis(20);
/// How long it waits when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);
const LONG_SLEEP: Duration = Duration::from_secs(3600);
/// Bytes of log that a clean end still indexes; what is beyond, the next start does.
const CLOSE_BYTES: u64 = 1 << 30;

impl Store {
    /// Indexes some of the dispatched records; returns how many bytes of log, 0 if there are none
    /// or the disk fails. That stops the store's writes, unless it is merely full.
    pub fn index(&self, now: Millis) -> u64 {
        self.index_round(now).unwrap_or(0)
    }

    /// Every dispatched record before is in the index; the log's end in a store without one.
    pub fn indexed(&self) -> skua_protocol::PhysicalOffset {
        let index = self.index.as_ref();
        index.map_or(self.appended(), |index| skua_protocol::PhysicalOffset(index.position()))
    }

    pub(super) fn index_round(&self, now: Millis) -> DiskResult<u64> {
        let Some(index) = &self.index else { return Ok(0) };
        if self.failure().is_some() {
            return Ok(0);
        }
        match index.round(&self.log, self.dispatched().0, now) {
            Ok(bytes) => Ok(bytes),
            // The log's oldest file went while it was read: the next round begins behind it.
            Err(ReadError::NotThere { from, min, .. }) if from < min => Ok(0),
            Err(ReadError::Disk(cause)) => Err(self.index_failed(cause)),
            Err(other) => {
                let cause = std::io::Error::other(other);
                Err(self.index_failed(DiskError::new("index", self.log.dir(), cause)))
            }
        }
    }

    fn index_failed(&self, cause: DiskError) -> DiskError {
        if !cause.is_full() {
            self.fail(cause.clone());
        }
        cause
    }

    /// Indexes until [`close`](Self::close); for a thread of its own. `clock` tells the time.
    pub fn run_index(&self, clock: impl Fn() -> Millis) {
        let Some(index) = &self.index else { return };
        while !self.is_closing() {
            let is_closing = || self.is_closing();
            match self.index_round(clock()) {
                Ok(0) => {
                    let is_behind = || index.position() < self.dispatched().0;
                    let ready = || self.is_closing() || (self.failure().is_none() && is_behind());
                    self.index_wanted.sleep(LONG_SLEEP, ready);
                    std::thread::sleep(REST);
                }
                Ok(_) => {}
                Err(cause) if cause.is_full() => {
                    tracing::warn!(%cause, "index files wait for space");
                    std::thread::sleep(FULL_DISK_PAUSE);
                }
                Err(_) => self.index_wanted.sleep(LONG_SLEEP, is_closing),
            }
        }
    }

    /// First step of a checkpoint. On a full disk the index stays as it was at the last one.
    pub(crate) fn prepare_index(&self) -> DiskResult<Option<Snapshot>> {
        let Some(index) = &self.index else { return Ok(None) };
        if_space(index.prepare())
    }

    /// Second step, after the log is durable; what the checkpoint notes. `before` is what the last
    /// one noted.
    pub(crate) fn save_index(
        &self,
        snapshot: Option<Snapshot>,
        before: IndexMark,
    ) -> DiskResult<(IndexMark, Option<u64>)> {
        let Some(index) = &self.index else { return Ok(Default::default()) };
        let Some(snapshot) = snapshot else { return Ok((before, None)) };
        Ok(if_space(index.save(snapshot))?.unwrap_or((before, None)))
    }

    /// Catches up before the end, so that another program finds the index whole.
    pub(crate) fn finish_index(&self) -> DiskResult<()> {
        let Some(index) = &self.index else { return Ok(()) };
        let mut done = 0;
        while done < CLOSE_BYTES {
            // No clock here: a file made now is named after the last message.
            match self.index_round(self.dispatched_time())? {
                0 => return Ok(()),
                bytes => done += bytes,
            }
        }
        let behind = self.dispatched().0.saturating_sub(index.position());
        tracing::warn!(bytes = behind, "the index is behind the log; the next start goes on");
        Ok(())
    }
}

/// `None` where only space is missing.
fn if_space<T>(result: DiskResult<T>) -> DiskResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(cause) if cause.is_full() => {
            tracing::warn!(%cause, "the index is not saved for want of space");
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}

//! The work of the flush thread, the checkpoint, and the end of all writes when the disk fails.

use std::sync::atomic::Ordering;

use skua_protocol::Millis;

use super::{Store, disk_failed_path, until};
use crate::checkpoint::{Checkpoint, Marks};
use crate::disk::{DiskError, DiskResult, lock};
use crate::error::{Failure, FlushError};
use crate::flush::FlushState;

impl Store {
    /// Flushes what is due; returns when to come again, if nobody waits for
    /// [`flushed`](Self::flushed) before.
    pub fn flush_due(&self, now: Millis) -> Millis {
        let state = FlushState {
            appended: self.log.appended(),
            flushed: self.mark.get(),
            dispatched: self.dispatched().0,
            is_waited_for: self.mark.is_waited_for(),
            dirty_queues: self.queues.dirty_count(),
        };
        let (work, next) = {
            let mut clock = lock(&self.flush_clock);
            (clock.due(now, state), clock.next())
        };
        if self.failure().is_some() {
            return next;
        }
        let mut result = Ok(());
        if work.log {
            result = self.flush_log();
        }
        if result.is_ok() && work.checkpoint {
            result = self.flush_all();
            self.queues.cool();
        } else if let Some(least_pages) = work.queues.filter(|_| result.is_ok()) {
            let _checkpoint = lock(&self.checkpoint);
            result = self.queues.flush(least_pages, &|| self.flush_for_waiters());
        }
        match result {
            // The checkpoint's file is made with the first one; it waits for space.
            Err(cause) if cause.is_full() => tracing::warn!(%cause, "no checkpoint"),
            Err(cause) => self.fail(cause),
            Ok(()) => {}
        }
        next
    }

    /// Flushes until [`close`](Self::close); for a thread of its own. `clock` tells the time.
    pub fn run_flush(&self, clock: impl Fn() -> Millis) {
        while !self.is_closing() {
            let next = self.flush_due(clock());
            let is_due = || self.mark.is_waited_for() || self.is_flush_due_by_append();
            let waits = || self.failure().is_none() && is_due();
            self.mark.wanted.sleep(until(next, clock()), || self.is_closing() || waits());
        }
    }

    fn is_flush_due_by_append(&self) -> bool {
        let rules = &self.options.flush;
        rules.log_on_append && rules.log_is_due(self.log.appended(), self.mark.get())
    }

    /// Something was appended.
    pub(crate) fn wake_for_append(&self) {
        self.tell_round();
        if !self.gate.is_on() {
            self.dispatch_wanted.wake();
        }
        self.wake_flush_for_append();
    }

    pub(super) fn wake_flush_for_append(&self) {
        if self.options.flush.log_on_append {
            self.mark.wanted.wake();
        }
    }

    /// Makes the whole log durable, then answers who waited.
    pub(crate) fn flush_log(&self) -> DiskResult<()> {
        let _flushing = lock(&self.flushing);
        if let Some(Failure(cause)) = self.failure() {
            return Err(DiskError::clone(&cause));
        }
        let end = self.log.appended();
        let flushed = self.mark.get();
        if flushed < end {
            // Noted before the next in line tries: a second sync succeeds and saves nothing.
            self.log.sync(flushed, end).inspect_err(|cause| self.fail(cause.clone()))?;
            self.mark.advance(end);
        }
        Ok(())
    }

    fn flush_for_waiters(&self) {
        if self.mark.is_waited_for()
            && let Err(cause) = self.flush_log()
        {
            self.fail(cause);
        }
    }

    /// Makes log and queues durable, and notes it in the checkpoint; stops the writes if it fails.
    pub(crate) fn flush_all(&self) -> DiskResult<()> {
        self.save().inspect_err(|cause| {
            if !cause.is_full() {
                self.fail(cause.clone());
            }
        })
    }

    /// Entries of many queues by one call, behind the log's records that they point to.
    pub(super) fn flush_many_queues(&self) -> DiskResult<()> {
        let flushed = self.flush_log().and_then(|()| self.queues.flush_at_once());
        flushed.inspect_err(|cause| {
            if !cause.is_full() {
                self.fail(cause.clone());
            }
        })
    }

    fn save(&self) -> DiskResult<()> {
        let mut checkpoint = lock(&self.checkpoint);
        let (dispatched, logics_timestamp) = *lock(&self.dispatched);
        let index = self.prepare_index()?;
        if let Some(before) = self.on_checkpoint.get() {
            before()?;
        }
        let (end, physic_timestamp, ()) = self.log.at_rest(|_| ());
        self.flush_log()?;
        self.queues.flush(0, &|| self.flush_for_waiters())?;
        let before = checkpoint.own.map(|own| own.index).unwrap_or_default();
        let (index, full_until) = self.save_index(index, before)?;
        let marks = Marks { dispatched, flushed: end, index };
        let next = Checkpoint {
            physic_timestamp: physic_timestamp.0.max(0) as u64,
            logics_timestamp: logics_timestamp.0.max(0) as u64,
            index_timestamp: full_until.unwrap_or(checkpoint.index_timestamp),
            own: Some(marks),
            ..*checkpoint
        };
        self.checkpoint_file.write(&*self.disk, &next)?;
        *checkpoint = next;
        if self.disk_failed.swap(false, Ordering::SeqCst) {
            self.disk.remove(&disk_failed_path(&self.options))?;
            self.disk.sync_dir(&self.options.root)?;
        }
        Ok(())
    }

    /// No more writes, and nobody waits for what will not come.
    pub(crate) fn fail(&self, cause: DiskError) {
        if self.failure().is_none() {
            // If this cannot be written either, the next start has worse to deal with.
            let _ = self.disk.write_whole(&disk_failed_path(&self.options), b"");
            let _ = self.disk.sync_dir(&self.options.root);
        }
        let failure = self.log.fail(cause);
        self.mark.end(FlushError::Failed(failure));
    }
}

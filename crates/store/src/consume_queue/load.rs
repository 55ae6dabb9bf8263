//! The first look at a queue: where it begins and ends.
//!
//! Entries of records that recovery does not read again are all on disk, one after the other, and
//! come first. What follows them may be anything after a power cut: zeros, entries of records that
//! were lost, halves. Both kinds are told apart by bisection, and the last entry is checked
//! against the log, since a lost record's place may hold another by now.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use skua_protocol::record::Record;

use super::Queues;
use super::entry::ENTRY_LEN;
use super::queue::{Queue, QueueState};
use crate::commit_log::{base_of, dirty_bytes};
use crate::disk::{Allocation, DiskError, DiskResult};
use crate::error::ReadError;
use crate::multi_dispatch::is_lmq;

/// An entry's size in it.
const SIZE_AT: u64 = 8;
const SIZE_LEN: usize = 4;
/// Entries looked at one by one where the last is not that of a record.
const NEAR_END: u64 = 1024;

impl Queues {
    /// Finds the queue's bounds, unless they are known.
    pub(super) fn load(&self, queue: &Arc<Queue>) -> DiskResult<()> {
        let _loading = queue.loading();
        if queue.is_loaded() {
            return Ok(());
        }
        if queue.is_batch() {
            self.load_batches(queue)?;
        } else if let Some(from) = self.look_at(queue)? {
            self.heal_end(queue, from)?;
        }
        queue.set_loaded(true);
        Ok(())
    }

    /// The end of the entries in `range` whose records are in the log. Those that are not come
    /// last, but for damage: so some are looked at from behind first.
    fn last_true(&self, queue: &Queue, range: Range<u64>) -> DiskResult<u64> {
        let near = range.start.max(range.end.saturating_sub(NEAR_END));
        for index in (near..range.end).rev() {
            if self.is_true(queue, index)? {
                return Ok(index + 1);
            }
        }
        bisect(range.start..near, |index| self.is_true(queue, index))
    }

    /// Finds the queue's bounds; where in the log to go on if entries behind are damaged.
    fn look_at(&self, queue: &Queue) -> DiskResult<Option<u64>> {
        let mut state = queue.state();
        let (files, has_bad_files) = self.find_files(queue)?;
        *state = QueueState { files, ..QueueState::default() };
        let first = state.files.start / ENTRY_LEN as u64;
        let last = state.files.end / ENTRY_LEN as u64;

        let trusted = self.trusted.load(Ordering::SeqCst);
        let mut end = bisect(first..last, |index| {
            let slot = self.slot(queue, index)?;
            Ok(slot.is_written() && (slot.is_blank() || slot.physical_offset < trusted))
        })?;
        if end > first && !self.is_true(queue, end - 1)? {
            end = self.last_true(queue, first..end)?;
            tracing::warn!(topic = %queue.topic, queue = queue.id.0, end,
                "consume queue had entries of records that are not in the log; they are cut");
        }
        if end > first {
            state.physical_end = match self.slot(queue, end - 1)? {
                blank if blank.is_blank() => 0,
                slot => slot.end(),
            };
        }
        let log_min = self.log.min();
        let min = bisect(first..end, |index| {
            let slot = self.slot(queue, index)?;
            Ok(slot.is_blank() || slot.physical_offset < log_min)
        })?;
        let is_damaged = self.can_heal(queue)
            && (has_bad_files || self.is_true_behind(queue, &state, end, trusted)?);
        if is_damaged || !self.recovering.load(Ordering::SeqCst) {
            self.cut_after(queue, &mut state, end)?;
        }
        queue.set_bounds(min, end);
        Ok(is_damaged.then_some(state.physical_end))
    }

    /// Whether behind the queue's end stands an entry of a record that was dispatched before.
    fn is_true_behind(
        &self,
        queue: &Queue,
        state: &QueueState,
        end: u64,
        trusted: u64,
    ) -> DiskResult<bool> {
        let end_byte = end * ENTRY_LEN as u64;
        let mut base = state.files.end;
        while base > state.files.start && base > end_byte {
            base -= self.file_size(queue);
            let from = end_byte.saturating_sub(base);
            let bytes = dirty_bytes(&*self.file(queue, base)?, from)?;
            if bytes == 0 {
                continue;
            }
            let last = (base + from + bytes - 1) / ENTRY_LEN as u64;
            // The last may be half of one.
            for index in last.saturating_sub(1).max(end)..=last {
                let slot = self.slot(queue, index)?;
                let is_known = (self.log.min()..trusted).contains(&slot.physical_offset);
                if !slot.is_blank() && is_known && self.is_true(queue, index)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        Ok(false)
    }

    /// Bytes of the queue that files cover without a gap, from the first file on. Files that are
    /// none of such a row are deleted, since they can be made anew: true if there were any.
    pub(super) fn find_files(&self, queue: &Queue) -> DiskResult<(Range<u64>, bool)> {
        let dir = self.queue_dir(queue);
        let mut files = 0..0;
        let mut has_bad = false;
        let listed = self.disk.list(&dir)?;
        let count = listed.len();
        for (nth, entry) in listed.into_iter().enumerate() {
            let path = dir.join(&entry.name);
            let Some(base) = base_of(&entry.name).filter(|_| !entry.is_dir) else { continue };
            if entry.len == 0 && nth + 1 == count {
                // Its making was cut short.
                self.disk.remove(&path)?;
                continue;
            }
            let file_size = self.file_size(queue);
            let fits = entry.len == file_size && base % file_size == 0;
            let has_gap = !files.is_empty() && base != files.end;
            if self.can_heal(queue) && (!fits || has_gap || has_bad) {
                let path = path.display();
                tracing::warn!(%path, bytes = entry.len, "file of a consume queue is out of place");
                self.disk.remove(&dir.join(&entry.name))?;
                has_bad = true;
                continue;
            }
            if !fits {
                let cause = format!(
                    "{} bytes from {base} do not fit mappedFileSizeConsumeQueue {file_size}",
                    entry.len
                );
                return Err(DiskError::new("use", &path, io::Error::other(cause)));
            }
            if files.is_empty() || base != files.end {
                files.start = base;
            }
            files.end = base + file_size;
        }
        Ok((files, has_bad))
    }

    /// Whether the entry at `index` is that of a record in the log, as far as that can be told.
    pub(super) fn is_true(&self, queue: &Queue, index: u64) -> DiskResult<bool> {
        let slot = self.slot(queue, index)?;
        if slot.is_blank() {
            return Ok(true);
        }
        if !slot.is_written() {
            return Ok(false);
        }
        if slot.physical_offset < self.log.min() {
            // Its record has expired. Or it is half of an entry, which shows in the order.
            let Some(before) = index.checked_sub(1) else { return Ok(true) };
            return match self.slot(queue, before) {
                // Nothing follows what was never written, but for what a cut has left.
                Ok(before) => {
                    let follows = before.is_written() && before.end() <= slot.physical_offset;
                    Ok(before.is_blank() || follows)
                }
                Err(cause) if cause.is_not_found() => Ok(true),
                Err(cause) => Err(cause),
            };
        }
        let mut bytes = Vec::new();
        match self.log.record_at(slot.physical_offset, Some(slot.size as usize), &mut bytes) {
            Ok(()) => {}
            Err(ReadError::Disk(cause)) => return Err(cause),
            Err(_) => return Ok(false),
        }
        let Ok(record) = Record::parse(&bytes) else { return Ok(false) };
        Ok(is_lmq(&queue.topic)
            || (record.topic() == &*queue.topic
                && record.queue_id() as u32 == queue.id.0
                && record.queue_offset() as u64 == index))
    }

    /// Cuts what follows the queue's end.
    pub(super) fn trim(&self, queue: &Queue) -> DiskResult<()> {
        let mut state = queue.state();
        if queue.is_batch() {
            return self.trim_batches(queue, &mut state);
        }
        self.cut_after(queue, &mut state, queue.max())
    }

    /// Makes everything from entry `end` on zero, and deletes the files beyond.
    pub(super) fn cut_after(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        end: u64,
    ) -> DiskResult<()> {
        let end_byte = end * ENTRY_LEN as u64;
        if state.files.contains(&end_byte) {
            let base = self.base(queue, end_byte);
            let file = self.file(queue, base)?;
            let mut size = [0; SIZE_LEN];
            file.read_at(&mut size, end_byte - base + SIZE_AT)?;
            if size != [0; SIZE_LEN] {
                // First of all: half an entry looks like that of an older record, but for this.
                file.write_at(&[0; SIZE_LEN], end_byte - base + SIZE_AT)?;
            }
        }
        self.cut_after_byte(queue, state, end_byte)
    }

    pub(super) fn cut_after_byte(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        end_byte: u64,
    ) -> DiskResult<()> {
        if state.files.is_empty() {
            return Ok(());
        }
        let file_size = self.file_size(queue);
        let mut last = state.files.end - file_size;
        let mut removed = false;
        while last >= end_byte && last > state.files.start {
            self.remove_file(queue, state, last)?;
            last -= file_size;
            removed = true;
        }
        if removed {
            // Or a power cut brings them back, behind entries that came since.
            self.disk.sync_dir(&self.queue_dir(queue))?;
        }
        if end_byte < state.files.end {
            let file = self.file(queue, last)?;
            let from = end_byte.saturating_sub(last);
            if dirty_bytes(&*file, from)? > 0 {
                file.zero(from..file_size, Allocation::Sparse)?;
                file.sync()?;
            }
        }
        Ok(())
    }
}

/// The first index of `range` for which `holds` is false, if it is true for a prefix.
pub(crate) fn bisect<E>(
    range: Range<u64>,
    mut holds: impl FnMut(u64) -> Result<bool, E>,
) -> Result<u64, E> {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        if holds(middle)? {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(start)
}

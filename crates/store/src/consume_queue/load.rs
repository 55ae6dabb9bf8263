//! The first look at a queue: where it begins and ends.
//!
//! Entries of records that recovery does not read again are all on disk, one after the other, and
//! come first. What follows them may be anything after a power cut: zeros, entries of records that
//! were lost, halves. Both kinds are told apart by bisection, and the last entry is checked
//! against the log, since a lost record's place may hold another by now.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use skua_protocol::record::Record;

use super::Queues;
use super::entry::ENTRY_LEN;
use super::queue::{Queue, QueueState};
use crate::commit_log::{base_of, dirty_bytes};
use crate::disk::{Allocation, DiskError, DiskResult};
use crate::error::ReadError;

/// Queues under topics with this prefix hold entries of records of other topics.
const LMQ_PREFIX: &str = "%LMQ%";

impl Queues {
    /// Finds the queue's bounds, unless they are known.
    pub(super) fn load(&self, queue: &Queue) -> DiskResult<()> {
        let mut state = queue.state();
        if queue.is_loaded() {
            return Ok(());
        }
        *state = QueueState { files: self.find_files(queue)?, ..QueueState::default() };
        let first = state.files.start / ENTRY_LEN as u64;
        let last = state.files.end / ENTRY_LEN as u64;

        let trusted = self.trusted.load(Ordering::SeqCst);
        let mut end = bisect(first..last, |index| {
            let slot = self.slot(queue, index)?;
            Ok(slot.is_written() && (slot.is_blank() || slot.physical_offset < trusted))
        })?;
        if end > first && !self.is_true(queue, end - 1)? {
            end = bisect(first..end, |index| self.is_true(queue, index))?;
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
        if !self.recovering.load(Ordering::SeqCst) {
            self.cut_after(queue, &mut state, end)?;
        }
        queue.set_bounds(min, end);
        queue.set_loaded(true);
        Ok(())
    }

    /// Bytes of the queue that files cover without a gap, up to the last file.
    fn find_files(&self, queue: &Queue) -> DiskResult<Range<u64>> {
        let dir = self.queue_dir(queue);
        let mut files = 0..0;
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
            if entry.len != self.file_size || base % self.file_size != 0 {
                let cause = format!(
                    "{} bytes from {base} do not fit mappedFileSizeConsumeQueue {}",
                    entry.len, self.file_size
                );
                return Err(DiskError::new("use", &path, io::Error::other(cause)));
            }
            if files.is_empty() || base != files.end {
                files.start = base;
            }
            files.end = base + self.file_size;
        }
        Ok(files)
    }

    /// Whether the entry at `index` is that of a record in the log, as far as that can be told.
    fn is_true(&self, queue: &Queue, index: u64) -> DiskResult<bool> {
        let slot = self.slot(queue, index)?;
        if slot.is_blank() || (slot.is_written() && slot.physical_offset < self.log.min()) {
            return Ok(true);
        }
        if !slot.is_written() {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        match self.log.record_at(slot.physical_offset, Some(slot.size as usize), &mut bytes) {
            Ok(()) => {}
            Err(ReadError::Disk(cause)) => return Err(cause),
            Err(_) => return Ok(false),
        }
        let Ok(record) = Record::parse(&bytes) else { return Ok(false) };
        Ok(queue.topic.starts_with(LMQ_PREFIX)
            || (record.topic() == &*queue.topic
                && record.queue_id() as u32 == queue.id.0
                && record.queue_offset() as u64 == index))
    }

    /// Cuts what follows the queue's end.
    pub(super) fn trim(&self, queue: &Queue) -> DiskResult<()> {
        let mut state = queue.state();
        self.cut_after(queue, &mut state, queue.max())
    }

    /// Makes everything from entry `end` on zero, and deletes the files beyond.
    pub(super) fn cut_after(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        end: u64,
    ) -> DiskResult<()> {
        if state.files.is_empty() {
            return Ok(());
        }
        let end_byte = end * ENTRY_LEN as u64;
        let mut last = state.files.end - self.file_size;
        while last >= end_byte && last > state.files.start {
            self.remove_file(queue, state, last)?;
            last -= self.file_size;
        }
        if end_byte < state.files.end {
            let file = self.file(queue, last)?;
            let from = end_byte.saturating_sub(last);
            if dirty_bytes(&*file, from)? > 0 {
                file.zero(from..self.file_size, Allocation::Sparse)?;
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

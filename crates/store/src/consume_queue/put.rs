//! Adding entries, which dispatch alone does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Queues;
use super::entry::{ENTRY_LEN, Slot};
use super::queue::{Queue, QueueState};
use crate::disk::DiskResult;

impl Queues {
    /// Adds the entries of successive records of a queue, from queue offset `first` on. Those that
    /// the queue has are passed over, so that doing it twice does no harm.
    pub(crate) fn put(&self, queue: &Arc<Queue>, first: u64, slots: &[Slot]) -> DiskResult<()> {
        let Some(first_slot) = slots.first() else { return Ok(()) };
        let mut state = queue.state();
        let state = &mut *state;
        let mut max = queue.max();

        if first == 0 && max > 0 && first_slot.physical_offset >= state.physical_end {
            // The topic was deleted and begun anew; its old entries outlived a crash.
            tracing::info!(topic = %queue.topic, queue = queue.id.0, "queue begins anew");
            self.restart(queue, state, 0)?;
            max = 0;
        }
        if first > max {
            if self.noting_gaps.load(Ordering::Relaxed) {
                self.gap.store(true, Ordering::SeqCst);
                return Ok(());
            }
            if max > 0 && self.is_wide(max, first) && state.physical_end > self.log.min() {
                // Offsets are dense along the log. No checksum covers that of a record.
                tracing::warn!(topic = %queue.topic, queue = queue.id.0, max, first,
                    physical_offset = first_slot.physical_offset,
                    "record with a damaged queue offset is in no queue");
                return Ok(());
            }
            max = self.bridge(queue, state, max, first)?;
        }
        let passed = (max - first).min(slots.len() as u64);
        if passed > 0 && !self.recovering.load(Ordering::Relaxed) {
            tracing::debug!(topic = %queue.topic, queue = queue.id.0, first, max, "entries again");
        }
        let slots = &slots[passed as usize..];
        if slots.is_empty() {
            return Ok(());
        }
        self.write(queue, state, max, slots)?;
        for slot in slots {
            state.push(*slot, self.tail_entries);
        }
        queue.set_bounds(queue.min(), max + slots.len() as u64);
        Ok(())
    }

    /// Whether a gap has room for a file.
    fn is_wide(&self, max: u64, first: u64) -> bool {
        first - max > self.file_size / ENTRY_LEN as u64
    }

    /// Fills the way from the queue's end `max` to `first` with blanks; returns the new end.
    fn bridge(
        &self,
        queue: &Arc<Queue>,
        state: &mut QueueState,
        max: u64,
        first: u64,
    ) -> DiskResult<u64> {
        let file_start = self.base(first * ENTRY_LEN as u64) / ENTRY_LEN as u64;
        let from = if state.files.is_empty() || self.is_wide(max, first) {
            if max > 0 {
                tracing::warn!(topic = %queue.topic, queue = queue.id.0, max, first,
                    "consume queue has a gap wider than a file; it begins after it");
            }
            self.restart(queue, state, file_start)?;
            file_start
        } else {
            tracing::warn!(topic = %queue.topic, queue = queue.id.0, max, first,
                "consume queue has a gap; it is filled with blanks");
            max
        };
        let blanks = vec![Slot::BLANK; (first - from) as usize];
        self.write(queue, state, from, &blanks)?;
        let min = if from == max && from > 0 { queue.min() } else { first };
        state.tail.clear();
        queue.set_bounds(min, first);
        Ok(first)
    }

    /// Drops all entries; the next is at `first`.
    fn restart(&self, queue: &Queue, state: &mut QueueState, first: u64) -> DiskResult<()> {
        if !state.files.is_empty() {
            while !state.files.is_empty() {
                let last = state.files.end - self.file_size;
                self.remove_file(queue, state, last)?;
            }
            self.disk.sync_dir(&self.queue_dir(queue))?;
        }
        state.tail.clear();
        state.physical_end = 0;
        // Live, offsets beyond may be given away already.
        if self.recovering.load(Ordering::Relaxed) {
            queue.set_next(first);
        }
        queue.set_bounds(first, first);
        Ok(())
    }

    /// Writes entries into their files, making those that are missing.
    fn write(
        &self,
        queue: &Arc<Queue>,
        state: &mut QueueState,
        first: u64,
        slots: &[Slot],
    ) -> DiskResult<()> {
        let per_file = self.file_size / ENTRY_LEN as u64;
        let (mut index, mut rest) = (first, slots);
        let mut bytes = Vec::new();
        while !rest.is_empty() {
            let at = index * ENTRY_LEN as u64;
            let base = self.base(at);
            let here = rest.len().min((per_file - index % per_file) as usize);
            let (now, later) = rest.split_at(here);
            let exists = state.files.contains(&base);
            let file =
                if exists { self.file(queue, base)? } else { self.add_file(queue, state, base)? };
            bytes.clear();
            bytes.extend(now.iter().flat_map(Slot::encode));
            let same = exists
                && self.recovering.load(Ordering::Relaxed)
                && keep_same(&*file, at - base, &mut bytes)?;
            if !same || self.rewriting.load(Ordering::Relaxed) {
                file.write_at(&bytes, at - base)?;
            }
            // What recovery found the same may be in the page cache only.
            self.note_dirty(queue, state, at..at + bytes.len() as u64);
            index += here as u64;
            rest = later;
        }
        Ok(())
    }
}

/// Takes over the tags code of each entry on disk that is the same but for it: it may be an
/// address in an extension file. True if there is nothing to write.
fn keep_same(file: &dyn crate::disk::DiskFile, at: u64, new: &mut [u8]) -> DiskResult<bool> {
    const TAGS_AT: usize = 12;
    let mut old = vec![0; new.len()];
    file.read_at(&mut old, at)?;
    let (old, _) = old.as_chunks::<ENTRY_LEN>();
    let (new, _) = new.as_chunks_mut::<ENTRY_LEN>();
    let mut same = true;
    for (old, new) in old.iter().zip(new) {
        if old[..TAGS_AT] == new[..TAGS_AT] {
            new[TAGS_AT..].copy_from_slice(&old[TAGS_AT..]);
        } else {
            same = false;
        }
    }
    Ok(same)
}

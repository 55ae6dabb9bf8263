//! Adding entries, which dispatch alone does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Queues;
use super::entry::{ENTRY_LEN, Slot};
use super::extension::Unit;
use super::queue::{Queue, QueueState};
use crate::disk::{DiskFile, DiskResult, Wait};

impl Queues {
    /// Adds the entries of successive records of a queue, from queue offset `first` on. Those that
    /// the queue has are passed over, so that doing it twice does no harm.
    pub(crate) fn put(&self, queue: &Arc<Queue>, first: u64, slots: &[Slot]) -> DiskResult<()> {
        self.put_with(queue, first, slots, &[])
    }

    /// As [`put`](Self::put), with what goes beside each entry, if anything does.
    pub(crate) fn put_with(
        &self,
        queue: &Arc<Queue>,
        first: u64,
        slots: &[Slot],
        units: &[Unit],
    ) -> DiskResult<()> {
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
        let mut extended = Vec::new();
        let slots = match units.get(passed as usize..) {
            Some(units) if !units.is_empty() => {
                extended.extend_from_slice(slots);
                self.extend(queue, state, max, &mut extended, units)?;
                &extended
            }
            _ => slots,
        };
        let at = max * ENTRY_LEN as u64;
        if state.tail.is_empty() && state.files.contains(&at) {
            // Blanks before may be of a life that did not come to sync the file and its name.
            self.note_dirty(queue, state, self.base(queue, at)..at);
        }
        if self.may_wait(state, max, slots.len()) {
            if state.unwritten + slots.len() > self.tail_entries {
                self.write_out(queue, state)?;
            }
            self.note_dirty(queue, state, at..at + (slots.len() * ENTRY_LEN) as u64);
            state.unwritten += slots.len();
        } else {
            self.write_out(queue, state)?;
            self.write(queue, state, max, slots, !extended.is_empty())?;
        }
        for slot in slots {
            state.push(*slot, self.tail_entries);
        }
        queue.set_bounds(queue.min(), max + slots.len() as u64);
        Ok(())
    }

    /// Whether `count` entries from queue offset `first` on can stay in memory until the queue is
    /// flushed. After a kill they are made anew from the log, as those are that were written and
    /// not durable. A file is made at once, so that a full disk shows here.
    fn may_wait(&self, state: &QueueState, first: u64, count: usize) -> bool {
        let last = (first + count as u64 - 1) * ENTRY_LEN as u64;
        count <= self.tail_entries
            && state.files.contains(&last)
            && !self.extends
            && !self.recovering.load(Ordering::Relaxed)
    }

    /// Writes the entries that are in memory alone; false if there are none.
    pub(super) fn write_out(&self, queue: &Arc<Queue>, state: &mut QueueState) -> DiskResult<bool> {
        if state.unwritten == 0 {
            return Ok(false);
        }
        let kept = state.tail.len() - state.unwritten;
        let slots: Vec<Slot> = state.tail.range(kept..).copied().collect();
        self.write(queue, state, queue.max() - slots.len() as u64, &slots, false)?;
        state.unwritten = 0;
        Ok(true)
    }

    /// Lets the queue go on at `next`, as if everything before had expired, unless it is there.
    pub(crate) fn go_on_at(&self, queue: &Arc<Queue>, next: u64) -> DiskResult<()> {
        let mut state = queue.state();
        let max = queue.max();
        if max < next {
            self.bridge(queue, &mut state, max, next)?;
        }
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
        self.write_out(queue, state)?;
        let file_start = self.base(queue, first * ENTRY_LEN as u64) / ENTRY_LEN as u64;
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
        self.write(queue, state, from, &blanks, false)?;
        let min = if from == max && from > 0 { queue.min() } else { first };
        state.clear_tail();
        queue.set_bounds(min, first);
        Ok(first)
    }

    /// Drops all entries; the next is at `first`.
    pub(super) fn restart(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        first: u64,
    ) -> DiskResult<()> {
        if !state.files.is_empty() {
            while !state.files.is_empty() {
                let last = state.files.end - self.file_size(queue);
                self.remove_file(queue, state, last)?;
            }
            self.disk.sync_dir(&self.queue_dir(queue))?;
        }
        state.clear_tail();
        // What was written and not synced is gone with its files.
        state.dirty = None;
        state.physical_end = 0;
        state.batches = 0..0;
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
        is_extended: bool,
    ) -> DiskResult<()> {
        let per_file = self.file_size / ENTRY_LEN as u64;
        let (mut index, mut rest) = (first, slots);
        let mut bytes = Vec::new();
        while !rest.is_empty() {
            let at = index * ENTRY_LEN as u64;
            let base = self.base(queue, at);
            let here = rest.len().min((per_file - index % per_file) as usize);
            let (now, later) = rest.split_at(here);
            let exists = state.files.contains(&base);
            let file =
                if exists { self.file(queue, base)? } else { self.add_file(queue, state, base)? };
            bytes.clear();
            bytes.reserve(now.len() * ENTRY_LEN);
            now.iter().for_each(|slot| bytes.extend_from_slice(&slot.encode()));
            let same = exists
                && self.recovering.load(Ordering::Relaxed)
                && self.keep_same(queue, &*file, at - base, &mut bytes, is_extended)?;
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

    /// Takes over from the entries on disk what stands in place of tags codes, if that is an
    /// address where these are. True if there is nothing to write.
    fn keep_same(
        &self,
        queue: &Queue,
        file: &dyn DiskFile,
        at: u64,
        new: &mut [u8],
        is_extended: bool,
    ) -> DiskResult<bool> {
        const TAGS_AT: usize = 12;
        let mut bytes = vec![0; new.len()];
        file.read_at(&mut bytes, at)?;
        if is_extended {
            return Ok(bytes == new);
        }
        let (old, _) = bytes.as_chunks::<ENTRY_LEN>();
        let (new, _) = new.as_chunks_mut::<ENTRY_LEN>();
        let mut same = true;
        for (old, new) in old.iter().zip(new) {
            if old == new {
                continue;
            }
            // A power cut may have torn it there.
            let unit = match old[..TAGS_AT] == new[..TAGS_AT] {
                true => self.unit(queue, Slot::decode(old).tags_code, Wait::ForDisk)?,
                false => None,
            };
            if unit.is_some_and(|unit| unit.tags_code == Slot::decode(new).tags_code) {
                *new = *old;
            } else {
                same = false;
            }
        }
        Ok(same)
    }
}

//! Queues of topics whose attribute `queue.type` is `BatchCQ`: an entry stands for a record that may
//! hold several messages, so entries are found by bisection over their queue offsets.
//!
//! ```text
//! | 8 physical offset | 4 size | 8 tags code | 8 store time |
//! | 8 queue offset of the first message | 2 messages | 4 compacted offset, -1 | 4 reserved, 0 |
//! ```
//! Big-endian, in `batchconsumequeue/` (Java: `BatchConsumeQueue`). Java gives entries only to
//! records that say how many messages they hold; others are never delivered there. Here they are.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use skua_protocol::properties::{INNER_BASE, INNER_NUM};
use skua_protocol::record::{FLAG_INNER_BATCH, Record};

use super::queue::{Queue, QueueState};
use super::{Entry, Queues, bisect};
use crate::commit_log::dirty_bytes;
use crate::disk::{DiskError, DiskResult, Wait};
use crate::dispatch::tags_code;
use crate::error::ReadError;

/// Bytes of an entry on disk.
pub(crate) const BATCH_ENTRY_LEN: usize = 46;
const LEN: u64 = BATCH_ENTRY_LEN as u64;
/// Entries looked at one by one where the last is not that of a record.
const NEAR_END: u64 = 1024;
/// Entries read at a time.
const CHUNK: u64 = 32;

/// An entry of a batch queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchSlot {
    pub physical_offset: u64,
    pub size: i32,
    pub tags_code: i64,
    pub store_time: i64,
    /// Queue offset of the first message.
    pub first: u64,
    pub messages: u16,
}

impl BatchSlot {
    pub(crate) fn encode(&self) -> [u8; BATCH_ENTRY_LEN] {
        let mut bytes = [0; BATCH_ENTRY_LEN];
        bytes[..8].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.store_time.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.first.to_be_bytes());
        bytes[36..38].copy_from_slice(&self.messages.to_be_bytes());
        bytes[38..42].copy_from_slice(&(-1i32).to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; BATCH_ENTRY_LEN]) -> Self {
        fn part<const N: usize>(bytes: &[u8; BATCH_ENTRY_LEN], at: usize) -> [u8; N] {
            bytes[at..at + N].try_into().expect("the range has N bytes")
        }
        Self {
            physical_offset: u64::from_be_bytes(part(bytes, 0)),
            size: i32::from_be_bytes(part(bytes, 8)),
            tags_code: i64::from_be_bytes(part(bytes, 12)),
            store_time: i64::from_be_bytes(part(bytes, 20)),
            first: u64::from_be_bytes(part(bytes, 28)),
            messages: u16::from_be_bytes(part(bytes, 36)),
        }
    }

    pub(crate) fn is_written(&self) -> bool {
        let signed = i64::MAX as u64;
        self.size > 0
            && self.physical_offset <= signed
            && self.first <= signed
            && (1..=i16::MAX as u16).contains(&self.messages)
    }

    /// First offset behind the record.
    pub(crate) fn end(&self) -> u64 {
        self.physical_offset.saturating_add(self.size.max(0) as u64)
    }

    /// One past the queue offset of the last message.
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(u64::from(self.messages))
    }

    fn entry(&self) -> Entry {
        Entry {
            queue_offset: skua_protocol::QueueOffset(self.first),
            physical_offset: skua_protocol::PhysicalOffset(self.physical_offset),
            size: self.size.max(0) as u32,
            tags_code: self.tags_code,
            messages: self.messages,
        }
    }
}

/// How many messages a record of a batch topic holds.
pub(crate) fn inner_messages(sys_flag: i32, inner_num: Option<&str>) -> u16 {
    if sys_flag & FLAG_INNER_BATCH == 0 {
        return 1;
    }
    let told = inner_num.and_then(|number| number.parse::<i16>().ok());
    told.and_then(|number| u16::try_from(number).ok()).map_or(1, |number| number.max(1))
}

impl Queues {
    /// The entry at `index`, counted from the first that ever was.
    fn batch(&self, queue: &Queue, index: u64, wait: Wait) -> DiskResult<BatchSlot> {
        let at = index * LEN;
        let base = self.base(queue, at);
        let mut bytes = [0; BATCH_ENTRY_LEN];
        self.file(queue, base)?.read(&mut bytes, at - base, wait)?;
        Ok(BatchSlot::decode(&bytes))
    }

    /// Entries of the next `count` messages from `from` on, the first of which holds that.
    pub(super) fn batches(
        &self,
        queue: &Queue,
        from: u64,
        count: usize,
        wait: Wait,
        out: &mut Vec<Entry>,
    ) -> DiskResult<()> {
        let Range { start, end } = queue.state().batches.clone();
        let after = bisect(start..end, |index| {
            Ok::<_, DiskError>(self.batch(queue, index, wait)?.first <= from)
        })?;
        let mut index = after.saturating_sub(1).max(start);
        // A damaged entry may have led astray.
        if !self.holds(queue, index, from, wait)? {
            for other in start..end {
                if self.holds(queue, other, from, wait)? {
                    index = other;
                    break;
                }
            }
        }
        let until = from.saturating_add(count as u64);
        let mut expected = None;
        let mut bytes = Vec::new();
        while index < end {
            let at = index * LEN;
            let base = self.base(queue, at);
            let file_end = (base + self.file_size(queue)) / LEN;
            let to = end.min(file_end).min(index + CHUNK);
            bytes.resize(((to - index) * LEN) as usize, 0);
            self.file(queue, base)?.read(&mut bytes, at - base, wait)?;
            for slot in bytes.as_chunks::<BATCH_ENTRY_LEN>().0.iter().map(BatchSlot::decode) {
                let is_wanted = match expected {
                    Some(expected) => slot.first == expected,
                    None if slot.next() <= from => continue,
                    None => slot.first <= from,
                };
                if is_wanted && slot.first >= until {
                    return Ok(());
                }
                out.push(slot.entry());
                if !is_wanted {
                    // A gap, or damage: whoever looks at the record tells.
                    return Ok(());
                }
                expected = Some(slot.next());
            }
            index = to;
        }
        Ok(())
    }

    fn holds(&self, queue: &Queue, index: u64, offset: u64, wait: Wait) -> DiskResult<bool> {
        let slot = self.batch(queue, index, wait)?;
        Ok(slot.is_written() && (slot.first..slot.next()).contains(&offset))
    }

    /// Makes the entries right that are not those of the log's records. True if any was changed.
    pub(super) fn heal_batches(&self, queue: &Arc<Queue>) -> DiskResult<bool> {
        let mut state = queue.state();
        let mut all = Vec::new();
        let until = self.log.appended().min(state.physical_end);
        self.records_of(queue, 0..until, &mut |record, offset| {
            all.push((
                self.batch_of(record, offset),
                record.properties().get(INNER_BASE).is_some(),
            ));
            Ok(true)
        })?;
        let Range { start, end } = state.batches.clone();
        let mut changed = false;
        // What lies between two entries that are right is known if the log has as many records.
        let (mut next_index, mut next_record) = (start, 0);
        for index in start..=end {
            let at = match index < end {
                true => {
                    let slot = self.batch(queue, index, Wait::ForDisk)?;
                    let found = all.binary_search_by_key(&slot.physical_offset, |(record, _)| {
                        record.physical_offset
                    });
                    found.ok().filter(|at| all[*at].0 == slot && *at >= next_record)
                }
                false => Some(all.len()),
            };
            let Some(at) = at else { continue };
            let mut between: Vec<_> = all[next_record..at].to_vec();
            if between.len() as u64 != index - next_index {
                // Java has no entries for the others.
                between.retain(|(_, has_base)| *has_base);
            }
            // No checksum covers what a record says of its place.
            let first = next_record.checked_sub(1).map(|before| all[before].0.next());
            let mut next = first.or_else(|| between.first().map(|(slot, _)| slot.first));
            let fits = between.iter().all(|(slot, _)| {
                next.replace(slot.next()).is_some_and(|expected| expected == slot.first)
            }) && all
                .get(at)
                .is_none_or(|(after, _)| next.is_none_or(|next| next == after.first));
            if fits && between.len() as u64 == index - next_index {
                for (place, (slot, _)) in (next_index..index).zip(between) {
                    let byte = place * LEN;
                    let base = self.base(queue, byte);
                    self.file(queue, base)?.write_at(&slot.encode(), byte - base)?;
                    self.note_dirty(queue, &mut state, byte..byte + LEN);
                    changed = true;
                }
            }
            (next_index, next_record) = (index + 1, at + 1);
        }
        Ok(changed)
    }

    /// Adds the entries of successive records of a batch queue. Those that the queue has are
    /// passed over.
    pub(crate) fn put_batches(&self, queue: &Arc<Queue>, slots: &[BatchSlot]) -> DiskResult<()> {
        let mut state = queue.state();
        for slot in slots {
            let max = queue.max();
            if slot.physical_offset < state.physical_end {
                continue;
            }
            if slot.first == 0 && max > 0 {
                tracing::info!(topic = %queue.topic, queue = queue.id.0, "queue begins anew");
                self.restart(queue, &mut state, 0)?;
            } else if slot.first < max && !self.corrects_last(queue, &mut state, slot)? {
                tracing::warn!(topic = %queue.topic, queue = queue.id.0, max, first = slot.first,
                    physical_offset = slot.physical_offset,
                    "record with a damaged queue offset is in no queue");
                continue;
            } else if slot.first > max && self.noting_gaps.load(Ordering::Relaxed) {
                self.gap.store(true, Ordering::SeqCst);
                return Ok(());
            }
            let index = state.batches.end;
            let at = index * LEN;
            let base = self.base(queue, at);
            let exists = state.files.contains(&base);
            let file = if exists {
                self.file(queue, base)?
            } else {
                self.add_file(queue, &mut state, base)?
            };
            file.write_at(&slot.encode(), at - base)?;
            self.note_dirty(queue, &mut state, at..at + LEN);
            state.batches.end = index + 1;
            state.physical_end = slot.end();
            let is_first = state.batches.start == index;
            queue.set_bounds(if is_first { slot.first } else { queue.min() }, slot.next());
        }
        Ok(())
    }

    /// Whether the entry, which is to come before the queue's end, shows that the last one is of a
    /// record whose queue offset or number of messages is damaged. No checksum covers them.
    fn corrects_last(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        slot: &BatchSlot,
    ) -> DiskResult<bool> {
        let Range { start, end } = state.batches.clone();
        if !self.recovering.load(Ordering::Relaxed) || end == start {
            return Ok(false);
        }
        let last = self.batch(queue, end - 1, Wait::ForDisk)?;
        if last.first < slot.first {
            return Ok(true);
        }
        let follows_before =
            end - start > 1 && self.batch(queue, end - 2, Wait::ForDisk)?.next() == slot.first;
        if follows_before {
            state.batches.end = end - 1;
        }
        Ok(follows_before)
    }

    /// The first look at a batch queue. Where it shows damage, all entries of records that recovery
    /// does not read are made anew from the log.
    pub(super) fn load_batches(&self, queue: &Arc<Queue>) -> DiskResult<()> {
        let trusted = self.trusted.load(Ordering::SeqCst);
        let is_damaged = {
            let mut state = queue.state();
            let (files, has_bad_files) = self.find_files(queue)?;
            *state = QueueState { files, ..QueueState::default() };
            let (first, last) = (state.files.start / LEN, state.files.end / LEN);
            let end = self.last_true_batch(queue, first..last, trusted)?;
            let log_min = self.log.min();
            let start = bisect(first..end, |index| {
                let slot = self.batch(queue, index, Wait::ForDisk)?;
                Ok::<_, DiskError>(slot.physical_offset < log_min)
            })?;
            state.batches = start..end;
            let (mut min, mut max) = (0, 0);
            if end > first {
                let last = self.batch(queue, end - 1, Wait::ForDisk)?;
                state.physical_end = last.end();
                max = last.next();
                min = max;
            }
            if end > start {
                min = self.batch(queue, start, Wait::ForDisk)?.first;
            }
            queue.set_bounds(min, max);
            has_bad_files
                || (start < end && !self.is_true_batch(queue, start)?)
                || !self.files_follow(queue, &state)?
                || self.is_true_batch_behind(queue, &state, trusted)?
        };
        if is_damaged {
            tracing::warn!(topic = %queue.topic, queue = queue.id.0,
                "batch consume queue is damaged; it is made anew from the log");
            self.restart(queue, &mut queue.state(), 0)?;
            self.records_of(queue, 0..trusted, &mut |record, offset| {
                self.put_batches(queue, &[self.batch_of(record, offset)])?;
                Ok(true)
            })?;
        } else if !self.recovering.load(Ordering::SeqCst) {
            self.trim_batches(queue, &mut queue.state())?;
        }
        Ok(())
    }

    /// Whether each file goes on where the one before ends.
    fn files_follow(&self, queue: &Queue, state: &QueueState) -> DiskResult<bool> {
        let per_file = self.file_size(queue) / LEN;
        let mut index = state.files.start / LEN + per_file;
        while index < state.batches.end {
            let before = self.batch(queue, index - 1, Wait::ForDisk)?;
            let after = self.batch(queue, index, Wait::ForDisk)?;
            if before.end() > after.physical_offset || before.next() > after.first {
                return Ok(false);
            }
            index += per_file;
        }
        Ok(true)
    }

    /// The end of the entries in `range` of records below `trusted` that are in the log.
    fn last_true_batch(&self, queue: &Queue, range: Range<u64>, trusted: u64) -> DiskResult<u64> {
        let first = range.start;
        let end = bisect(range, |index| {
            let slot = self.batch(queue, index, Wait::ForDisk)?;
            Ok::<_, DiskError>(slot.is_written() && slot.physical_offset < trusted)
        })?;
        let near = first.max(end.saturating_sub(NEAR_END));
        for index in (near..end).rev() {
            if self.is_true_batch(queue, index)? {
                return Ok(index + 1);
            }
        }
        bisect(first..near, |index| self.is_true_batch(queue, index))
    }

    /// Whether the entry at `index` is that of a record in the log, as far as that can be told.
    fn is_true_batch(&self, queue: &Queue, index: u64) -> DiskResult<bool> {
        let slot = self.batch(queue, index, Wait::ForDisk)?;
        if !slot.is_written() {
            return Ok(false);
        }
        if slot.physical_offset < self.log.min() {
            // Its record has expired. Or it is a part of an entry, which shows in the order.
            let Some(before) = index.checked_sub(1) else { return Ok(true) };
            return match self.batch(queue, before, Wait::ForDisk) {
                Ok(before) => {
                    Ok(before.end() <= slot.physical_offset && before.next() <= slot.first)
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
        Ok(Record::parse(&bytes).is_ok_and(|record| {
            is_of(queue, &record) && slot == self.batch_of(&record, slot.physical_offset)
        }))
    }

    /// Whether behind the queue's end stands an entry of a record that was dispatched before.
    fn is_true_batch_behind(
        &self,
        queue: &Queue,
        state: &QueueState,
        trusted: u64,
    ) -> DiskResult<bool> {
        let end_byte = state.batches.end * LEN;
        let mut base = state.files.end;
        while base > state.files.start && base > end_byte {
            base -= self.file_size(queue);
            let from = end_byte.saturating_sub(base);
            let bytes = dirty_bytes(&*self.file(queue, base)?, from)?;
            if bytes == 0 {
                continue;
            }
            let last = (base + from + bytes - 1) / LEN;
            for index in last.saturating_sub(1).max(state.batches.end)..=last {
                let slot = self.batch(queue, index, Wait::ForDisk)?;
                let is_known = (self.log.min()..trusted).contains(&slot.physical_offset);
                if is_known && self.is_true_batch(queue, index)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        Ok(false)
    }

    /// The entry of a record of a batch topic.
    pub(crate) fn batch_of(&self, record: &Record<'_>, offset: u64) -> BatchSlot {
        BatchSlot {
            physical_offset: offset,
            size: record.size() as i32,
            tags_code: tags_code(record, &self.delay_levels),
            store_time: record.store_timestamp().0,
            first: base_of(record),
            messages: inner_messages(record.sys_flag(), record.properties().get(INNER_NUM)),
        }
    }

    /// Whether the queue's files may begin with the one at `base`: its queue offsets stand nowhere
    /// but in its entries, so the first of these must stay whatever happens.
    pub(super) fn may_begin_at(&self, queue: &Queue, base: u64, durable: u64) -> DiskResult<bool> {
        if !queue.is_batch() {
            return Ok(true);
        }
        let first = self.batch(queue, base / LEN, Wait::ForDisk)?;
        Ok(first.is_written() && first.physical_offset < durable)
    }

    /// Cuts what follows the queue's end.
    pub(super) fn trim_batches(&self, queue: &Queue, state: &mut QueueState) -> DiskResult<()> {
        self.cut_after_byte(queue, state, state.batches.end * LEN)
    }

    /// Moves the queue's first offset to its first record that is in the log; with the queue's
    /// lock held. Gives the first byte of its entry.
    pub(super) fn raise_batch_min(&self, queue: &Queue, state: &mut QueueState) -> DiskResult<u64> {
        let log_min = self.log.min();
        let start = bisect(state.batches.clone(), |index| {
            let slot = self.batch(queue, index, Wait::ForDisk)?;
            Ok::<_, DiskError>(slot.physical_offset < log_min)
        })?;
        let min = if start < state.batches.end {
            self.batch(queue, start, Wait::ForDisk)?.first
        } else {
            queue.max()
        };
        state.batches.start = start;
        queue.raise_min(min);
        Ok(start * LEN)
    }
}

fn is_of(queue: &Queue, record: &Record<'_>) -> bool {
    record.topic() == &*queue.topic && record.queue_id() as u32 == queue.id.0
}

/// Queue offset of the record's first message.
fn base_of(record: &Record<'_>) -> u64 {
    u64::try_from(record.queue_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let slot = BatchSlot {
            physical_offset: 92_080,
            size: 258,
            tags_code: -1,
            store_time: 1_700_000_000_000,
            first: 40,
            messages: 3,
        };
        let bytes = slot.encode();
        assert_eq!(bytes[36..], [0, 3, 255, 255, 255, 255, 0, 0, 0, 0]);
        assert_eq!(BatchSlot::decode(&bytes), slot);
        assert!(slot.is_written() && !BatchSlot::decode(&[0; BATCH_ENTRY_LEN]).is_written());
    }
}

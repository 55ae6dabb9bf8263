//! Making entries anew that somebody damaged: the log knows what they were.
//!
//! Looked for only where something shows damage: at the first look at a queue, files that are
//! missing between others or have a wrong length, or true entries behind the end; at a read, an
//! entry that is not that of its record.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use skua_protocol::record::{MAGIC_END_OF_FILE, MAGIC_V1, Peek, Record, RecordError, next};

use super::entry::{ENTRY_LEN, Slot};
use super::queue::Queue;
use super::{Entry, Queues, has_place};
use crate::disk::{DiskError, DiskResult, lock};
use crate::dispatch::tags_code;
use crate::error::ReadError;
use crate::multi_dispatch::is_lmq;

/// Entries looked through on either side for one that is true.
const NEIGHBOURS_MAX: u64 = 4096;
/// Entries put at a time.
const BATCH: usize = 1024;
/// Bytes of log read at a time.
const STEP: usize = 1 << 20;
/// Places remembered that cannot be made whole: their records are damaged themselves.
const HOPELESS_MAX: usize = 10_000;

impl Queues {
    /// Whether the log alone says what the queue's entries are.
    pub(super) fn can_heal(&self, queue: &Queue) -> bool {
        !is_lmq(&queue.topic)
    }

    /// Adds the entries behind the queue's end of records before those that recovery reads.
    pub(super) fn heal_end(&self, queue: &Arc<Queue>, from: u64) -> DiskResult<()> {
        let (end, until) = (queue.max(), self.trusted.load(Ordering::SeqCst));
        tracing::warn!(topic = %queue.topic, queue = queue.id.0, end,
            "consume queue is damaged; its entries from there on are made anew from the log");
        let mut row: Vec<Slot> = Vec::new();
        let mut first = 0;
        self.records_of(queue, from..until, &mut |record, offset| {
            let Some((index, slot)) = self.entry_of(record, offset) else { return Ok(true) };
            if index != first + row.len() as u64 || row.len() >= BATCH {
                self.put(queue, first, &row)?;
                row.clear();
                first = index;
            }
            row.push(slot);
            Ok(true)
        })?;
        self.put(queue, first, &row)
    }

    /// Makes the entries right that `wrong` names, as far as the log has their records. True if
    /// any was changed.
    pub(crate) fn heal_entries(&self, queue: &Arc<Queue>, wrong: &[Entry]) -> DiskResult<bool> {
        let Some((first, last)) = wrong.first().zip(wrong.last()) else { return Ok(false) };
        let wanted = first.queue_offset.0..last.queue_offset.0 + 1;
        let is_hopeless = |index| lock(&self.hopeless).contains(&(queue.owner, index));
        if !self.can_heal(queue) || wrong.iter().all(|entry| is_hopeless(entry.queue_offset.0)) {
            return Ok(false);
        }
        let changed = if queue.is_batch() {
            self.heal_batches(queue)?
        } else {
            self.heal_between_neighbours(queue, &wanted)?
        };
        if changed {
            tracing::warn!(topic = %queue.topic, queue = queue.id.0, ?wanted,
                "entries of the consume queue were damaged and are made anew from the log");
        } else {
            let mut hopeless = lock(&self.hopeless);
            if hopeless.len() + wrong.len() > HOPELESS_MAX {
                hopeless.clear();
            }
            hopeless.extend(wrong.iter().map(|entry| (queue.owner, entry.queue_offset.0)));
        }
        Ok(changed)
    }

    fn heal_between_neighbours(&self, queue: &Arc<Queue>, wanted: &Range<u64>) -> DiskResult<bool> {
        self.write_out(queue, &mut queue.state())?;
        let (from, until) = self.neighbours(queue, wanted)?;
        let mut found = Vec::new();
        self.records_of(queue, from..until, &mut |record, offset| {
            let Some((index, slot)) = self.entry_of(record, offset) else { return Ok(true) };
            if wanted.contains(&index) {
                found.push((index, slot));
            }
            Ok(index + 1 < wanted.end)
        })?;
        let mut changed = false;
        for (index, slot) in found {
            changed |= self.replace(queue, index, slot)?;
        }
        Ok(changed)
    }

    /// The stretch of log that must hold the records of `wanted`: between the nearest true entries.
    fn neighbours(&self, queue: &Queue, wanted: &Range<u64>) -> DiskResult<(u64, u64)> {
        let mut from = self.log.min();
        for index in
            (queue.min().max(wanted.start.saturating_sub(NEIGHBOURS_MAX))..wanted.start).rev()
        {
            if self.is_true(queue, index)? {
                from = from.max(self.slot(queue, index)?.end());
                break;
            }
        }
        let mut until = self.log.appended();
        for index in wanted.end..queue.max().min(wanted.end.saturating_add(NEIGHBOURS_MAX)) {
            if self.is_true(queue, index)? {
                until = until.min(self.slot(queue, index)?.physical_offset);
                break;
            }
        }
        Ok((from, until))
    }

    /// Puts an entry into its place. False if it stood there already.
    fn replace(&self, queue: &Arc<Queue>, index: u64, slot: Slot) -> DiskResult<bool> {
        let mut state = queue.state();
        let at = index * ENTRY_LEN as u64;
        if index >= queue.max() || !state.files.contains(&at) || self.slot(queue, index)? == slot {
            return Ok(false);
        }
        let base = self.base(queue, at);
        self.file(queue, base)?.write_at(&slot.encode(), at - base)?;
        self.note_dirty(queue, &mut state, at..at + ENTRY_LEN as u64);
        Ok(true)
    }

    /// Shows the queue's whole records in a stretch of the log, until `visit` says no.
    pub(super) fn records_of(
        &self,
        queue: &Queue,
        stretch: Range<u64>,
        visit: &mut dyn FnMut(&Record<'_>, u64) -> DiskResult<bool>,
    ) -> DiskResult<()> {
        let mut at = stretch.start.max(self.log.min());
        let mut least = 8;
        let mut buffer = Vec::new();
        while at + 8 <= stretch.end {
            let Some(base) = self.log.file_of(at) else { return Ok(()) };
            let file_end = base + self.log.file_size();
            let most = STEP.max(least);
            let walked = self.log.with_bytes(at, least, most, &mut buffer, |bytes| {
                let mut done = 0;
                loop {
                    let rest = &bytes[done..];
                    let record = match next(rest) {
                        Ok(Peek::Message { size }) => whole(&rest[..size], at + done as u64),
                        Err(RecordError::Truncated { size, .. })
                            if size > rest.len() && at + (done + size) as u64 <= file_end =>
                        {
                            return Ok(Walked::More(at + done as u64, size));
                        }
                        Ok(Peek::Empty) if rest.len() < 8 => {
                            return Ok(Walked::More(at + done as u64, 8));
                        }
                        Ok(Peek::Empty | Peek::EndOfFile { .. }) => {
                            return Ok(Walked::More(file_end, 8));
                        }
                        Err(_) if rest[4..8] == MAGIC_END_OF_FILE.to_be_bytes() => {
                            return Ok(Walked::More(file_end, 8));
                        }
                        Err(_) => None,
                    };
                    let offset = at + done as u64;
                    if offset >= stretch.end {
                        return Ok(Walked::Over);
                    }
                    let Some(record) = record else {
                        let Some(step) = next_magic(rest) else {
                            let step = rest.len().saturating_sub(MAGIC_END).max(1);
                            return Ok(Walked::More(offset + step as u64, 8));
                        };
                        done += step;
                        continue;
                    };
                    done += record.size();
                    if self.is_own(queue, &record, offset) && !visit(&record, offset)? {
                        return Ok(Walked::Over);
                    }
                }
            });
            match walked {
                Ok(Ok(Walked::More(next, wanted))) => {
                    if next == at && wanted <= least {
                        return Ok(());
                    }
                    (at, least) = (next, wanted);
                }
                Ok(Ok(Walked::Over)) | Err(ReadError::NotThere { .. }) => return Ok(()),
                Ok(Err(cause)) | Err(ReadError::Disk(cause)) => return Err(cause),
                Err(cause) => {
                    let path = self.log.path(base);
                    return Err(DiskError::new("follow", &path, std::io::Error::other(cause)));
                }
            }
        }
        Ok(())
    }

    /// Whether the record has a place in the queue.
    fn is_own(&self, queue: &Queue, record: &Record<'_>, offset: u64) -> bool {
        record.topic() == &*queue.topic
            && record.queue_id() as u32 == queue.id.0
            && has_place(record.sys_flag())
            && !self.was_deleted(record.topic(), offset)
    }

    /// Place and entry of a record of the queue.
    fn entry_of(&self, record: &Record<'_>, offset: u64) -> Option<(u64, Slot)> {
        let index = u64::try_from(record.queue_offset()).ok()?;
        let tags_code = tags_code(record, &self.delay_levels);
        Some((index, Slot { physical_offset: offset, size: record.size() as i32, tags_code }))
    }
}

/// First byte behind size and magic.
const MAGIC_END: usize = 8;

/// How far the next record may be that could begin in `rest`, behind its first byte.
fn next_magic(rest: &[u8]) -> Option<usize> {
    const AT: usize = 4;
    let magic = &MAGIC_V1.to_be_bytes()[..3];
    let found = rest.get(AT + 1..)?.windows(magic.len()).position(|window| window == magic)?;
    Some(found + 1)
}

/// The record, if it is whole and in its place.
fn whole(bytes: &[u8], offset: u64) -> Option<Record<'_>> {
    let record = Record::parse_with(bytes, true).ok()?;
    (record.physical_offset() as u64 == offset).then_some(record)
}

/// Where a walk over a piece of log stopped.
enum Walked {
    /// Go on there; that many bytes are needed at once.
    More(u64, usize),
    Over,
}

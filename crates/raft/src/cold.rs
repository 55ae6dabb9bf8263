//! Reads of what is on the disk alone: another thread brings it into memory before the group's own
//! thread takes it, so that a peer that is far behind keeps nobody waiting.

use std::collections::VecDeque;
use std::ops::Range;

use raft::GetEntriesContext;
use skua_protocol::PhysicalOffset;
use skua_store::Store;

/// Reads under way; beyond them a peer waits until it is looked at again.
const READS_MAX: usize = 16;
/// Stretches that count as brought into memory.
const WARM_MAX: usize = 32;
/// Bytes of one read.
const READ_MAX: u64 = 8 << 20;
/// Bytes read at a time.
const STEP: u64 = 1 << 20;

/// For whom something is read.
#[derive(Debug)]
pub(crate) enum For {
    /// The library, which sends entries to a peer.
    Entries(GetEntriesContext),
    /// A peer that copies the log.
    Copy { to: u64, at: u64, until: u64 },
}

#[derive(Debug)]
struct Reading {
    number: u64,
    range: Range<u64>,
    what_for: For,
    is_told: bool,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct ColdReads {
    next_number: u64,
    under_way: VecDeque<Reading>,
    warm: VecDeque<Range<u64>>,
}

impl ColdReads {
    /// Whether it was brought into memory lately.
    pub fn is_warm(&self, range: &Range<u64>) -> bool {
        self.warm.iter().any(|warm| warm.start <= range.start && range.end <= warm.end)
    }

    /// `range` is wanted, of which nothing before was.
    pub fn want(&mut self, range: Range<u64>, what_for: For) {
        let range = range.start..range.end.min(range.start.saturating_add(READ_MAX));
        let is_known = self.under_way.iter().any(|reading| reading.range == range);
        if is_known || self.under_way.len() >= READS_MAX {
            return;
        }
        self.next_number += 1;
        let number = self.next_number;
        self.under_way.push_back(Reading { number, range, what_for, is_told: false });
    }

    /// The next read that nobody has been told of: its number, offset and length.
    pub fn next(&mut self) -> Option<(u64, u64, u64)> {
        let reading = self.under_way.iter_mut().find(|reading| !reading.is_told)?;
        reading.is_told = true;
        Some((reading.number, reading.range.start, reading.range.end - reading.range.start))
    }

    /// The read is done.
    pub fn done(&mut self, number: u64) -> Option<For> {
        let nth = self.under_way.iter().position(|reading| reading.number == number)?;
        let reading = self.under_way.remove(nth)?;
        if self.warm.len() >= WARM_MAX {
            self.warm.pop_front();
        }
        self.warm.push_back(reading.range);
        Some(reading.what_for)
    }
}

/// Does what an [`Effect::Read`](crate::Effect::Read) asks for; for a thread of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) store: std::sync::Arc<Store>,
}

impl Reader {
    /// Brings a stretch of the log into memory. What is not there any more shows when it is taken.
    pub fn read(&self, at: u64, len: u64) {
        let end = at.saturating_add(len);
        let mut from = at;
        while from < end {
            let len = STEP.min(end - from);
            if self.store.log_bytes(PhysicalOffset(from), len as usize).is_err() {
                return;
            }
            from += len;
        }
    }
}

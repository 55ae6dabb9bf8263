//! What dispatch hands over to the index: the keys of records it has just looked at, so that they
//! need not be read a second time.
//!
//! It is a help and nothing to rely on: what is not handed over, or came too late, is read from
//! the log, which has everything.

use std::ops::Range;

use skua_protocol::record::Record;

use super::follow::hashes_to_index;

/// Keys that wait at most: more would be read from the log by and by.
const KEYS_MAX: usize = 32 * 1024;

/// One key of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Where its record is, and that one's store time.
    pub offset: u64,
    pub time: u64,
    pub hash: u32,
}

/// The keys of a stretch of log, in order.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    stretch: Range<u64>,
    keys: Vec<Key>,
}

impl Keys {
    /// Forgets everything and begins at `start`.
    pub(crate) fn begin(&mut self, start: u64) {
        self.keys.clear();
        self.stretch = start..start;
    }

    /// Notes the keys of the record at `offset`.
    pub(crate) fn note(&mut self, record: &Record<'_>, offset: u64) {
        let time = u64::try_from(record.store_timestamp().0).unwrap_or(0);
        self.keys.extend(hashes_to_index(record).map(|hash| Key { offset, time, hash }));
    }

    /// All records before `end` are noted.
    pub(crate) fn end(&mut self, end: u64) {
        self.stretch.end = end;
    }

    /// Adds what comes next. What does not follow, or is too much, is left out.
    pub(super) fn add(&mut self, more: &Self) {
        if self.stretch.is_empty() {
            self.begin(more.stretch.start);
        }
        let follows = self.stretch.end == more.stretch.start;
        if follows && self.keys.len() + more.keys.len() <= KEYS_MAX {
            self.keys.extend_from_slice(&more.keys);
            self.stretch.end = more.stretch.end;
        }
    }

    /// Where the stretch begins; `None` if it is empty.
    pub(super) fn start(&self) -> Option<u64> {
        (!self.stretch.is_empty()).then_some(self.stretch.start)
    }

    pub(super) fn stretch_end(&self) -> u64 {
        self.stretch.end
    }

    /// The keys, those of each record together.
    pub(super) fn records(&self) -> impl Iterator<Item = &[Key]> {
        self.keys.chunk_by(|a, b| a.offset == b.offset)
    }
}

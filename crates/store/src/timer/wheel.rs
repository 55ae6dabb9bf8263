//! The file `timerwheel`: for each moment of two weeks, the chain of units that are due then.
//!
//! Changed slots stay in memory until [`Snapshot::save`], which is called when what they point
//! to is durable. One bit a slot tells which are still to be delivered, so that the next of them is
//! found without the disk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::layout::{NONE, SLOT_LEN, Slot};
use crate::disk::{Allocation, Disk, DiskFile, DiskResult};
use crate::error::OpenError;

/// Bytes read at a time when the whole wheel is looked through.
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Wheel {
    file: Arc<dyn DiskFile>,
    slots: u64,
    /// By index; not in the file yet.
    changed: BTreeMap<u64, Slot>,
    /// Slots that wait to be delivered, a bit each.
    unread: Vec<u64>,
    /// Sum of their counts.
    waiting: i64,
    /// What a killed process wrote may be in the page cache only.
    is_unsure: bool,
}

impl Wheel {
    /// Opens the file, or makes it; `true` if it is new. Nothing counts as unread until
    /// [`load`](Self::load).
    pub fn open(disk: &dyn Disk, path: &Path, slots: u64) -> Result<(Self, bool), OpenError> {
        let expected = slots * SLOT_LEN as u64;
        let found = disk.open(path);
        let (file, is_new) = match found {
            Ok(file) if file.is_empty() => {
                file.set_len(expected)?;
                (file, true)
            }
            Ok(file) => (file, false),
            Err(cause) if cause.is_not_found() => {
                (disk.create(path, expected, Allocation::Sparse)?, true)
            }
            Err(cause) => return Err(cause.into()),
        };
        if file.len() != expected {
            let (path, found) = (path.to_owned(), file.len());
            return Err(OpenError::FileSize { path, found, expected, key: "the timer wheel" });
        }
        if is_new && let Some(dir) = path.parent() {
            disk.sync_dir(dir)?;
        }
        let unread = vec![0; slots.div_ceil(64) as usize];
        Ok((
            Self { file, slots, changed: BTreeMap::new(), unread, waiting: 0, is_unsure: true },
            is_new,
        ))
    }

    /// Looks which slots from `read` on are to be delivered; returns the last position they name.
    pub fn load(&mut self, read: i64) -> DiskResult<i64> {
        let mut last = NONE;
        let mut found = Vec::new();
        self.each(&mut |index, slot| {
            let is_own = slot.tick > 0 && slot.tick as u64 % self.slots == index;
            if is_own && slot.tick >= read && slot.last >= 0 {
                found.push((index, slot.count));
                last = last.max(slot.last);
            }
        })?;
        for (index, count) in found {
            self.unread[index as usize / 64] |= 1 << (index % 64);
            self.waiting += i64::from(count);
        }
        Ok(last)
    }

    /// Shows every slot of the file that may be other than zero.
    fn each(&self, show: &mut dyn FnMut(u64, Slot)) -> DiskResult<()> {
        let mut bytes = Vec::new();
        for stretch in self.file.data(0)? {
            let start = stretch.start / SLOT_LEN as u64 * SLOT_LEN as u64;
            let end = stretch.end.next_multiple_of(SLOT_LEN as u64).min(self.file.len());
            let mut at = start;
            while at < end {
                bytes.resize(CHUNK.min((end - at) as usize), 0);
                self.file.read_at(&mut bytes, at)?;
                let (slots, _) = bytes.as_chunks::<SLOT_LEN>();
                for (index, slot) in (at / SLOT_LEN as u64..).zip(slots) {
                    if slot.iter().any(|byte| *byte != 0) {
                        show(index, Slot::decode(slot));
                    }
                }
                at += bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// Writes everything again that is there: a failed sync may have lost it.
    pub fn rewrite(&self) -> DiskResult<()> {
        let mut again = Vec::new();
        self.each(&mut |index, slot| again.push((index, slot)))?;
        for (index, slot) in again {
            self.file.write_at(&slot.encode(), index * SLOT_LEN as u64)?;
        }
        self.file.sync()
    }

    /// Forgets everything, for building it anew from the timer log.
    pub fn clear(&mut self) -> DiskResult<()> {
        self.changed.clear();
        self.unread.fill(0);
        self.waiting = 0;
        self.file.zero(0..self.file.len(), Allocation::Sparse)
    }

    fn index(&self, tick: i64) -> u64 {
        tick.rem_euclid(self.slots as i64) as u64
    }

    /// The slot of this time; an empty one if its place holds another time's.
    pub fn get(&self, tick: i64) -> DiskResult<Slot> {
        let index = self.index(tick);
        let slot = match self.changed.get(&index) {
            Some(slot) => *slot,
            None => {
                let mut bytes = [0; SLOT_LEN];
                self.file.read_at(&mut bytes, index * SLOT_LEN as u64)?;
                Slot::decode(&bytes)
            }
        };
        if slot.tick == tick {
            return Ok(slot);
        }
        Ok(Slot { tick, first: NONE, last: NONE, count: 0, unused: 0 })
    }

    /// Adds a unit to its slot, which is `slot` as [`get`](Self::get) gave it.
    pub fn add(&mut self, slot: Slot, position: u64, counts: i32) {
        let index = self.index(slot.tick);
        let first = if slot.first == NONE { position as i64 } else { slot.first };
        let count = slot.count.saturating_add(counts);
        self.changed.insert(index, Slot { first, last: position as i64, count, ..slot });
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if self.unread[word] & bit == 0 {
            self.unread[word] |= bit;
            self.waiting += i64::from(slot.count);
        }
        self.waiting += i64::from(counts);
    }

    /// The first unread slot from `from` on. All lie within one turn of the wheel from there.
    pub fn next_unread(&self, from: i64) -> Option<i64> {
        let start = self.index(from);
        let distance = |index: u64| from + (index + self.slots - start) as i64 % self.slots as i64;
        self.first_bit(start..self.slots).or_else(|| self.first_bit(0..start)).map(distance)
    }

    fn first_bit(&self, range: Range<u64>) -> Option<u64> {
        let mut word = range.start as usize / 64;
        let mut bits = *self.unread.get(word)? & (u64::MAX << (range.start % 64));
        loop {
            if bits != 0 {
                let index = word as u64 * 64 + u64::from(bits.trailing_zeros());
                return range.contains(&index).then_some(index);
            }
            word += 1;
            if word as u64 * 64 >= range.end {
                return None;
            }
            bits = *self.unread.get(word)?;
        }
    }

    /// The slot has been delivered.
    pub fn pass(&mut self, tick: i64) -> DiskResult<()> {
        let count = self.get(tick)?.count;
        let index = self.index(tick);
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if self.unread[word] & bit != 0 {
            self.unread[word] &= !bit;
            self.waiting -= i64::from(count);
        }
        Ok(())
    }

    /// Ticks from one to its next turn.
    pub fn turn(&self) -> i64 {
        self.slots as i64
    }

    pub fn waiting(&self) -> i64 {
        self.waiting
    }

    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// Changed slots as they are now, `None` if there is
    /// nothing to save.
    pub fn snapshot(&self) -> Option<Snapshot> {
        if self.changed.is_empty() && !self.is_unsure {
            return None;
        }
        let changed = self.changed.iter().map(|(index, slot)| (*index, *slot)).collect();
        Some(Snapshot { file: Arc::clone(&self.file), changed })
    }

    /// What was saved is in the file now.
    pub fn saved(&mut self, snapshot: &Snapshot) {
        self.is_unsure = false;
        for (index, slot) in &snapshot.changed {
            if self.changed.get(index) == Some(slot) {
                self.changed.remove(index);
            }
        }
    }
}

/// Slots to be saved.
#[derive(Debug)]
pub(super) struct Snapshot {
    file: Arc<dyn DiskFile>,
    /// By index.
    changed: Vec<(u64, Slot)>,
}

impl Snapshot {
    /// Writes the slots and makes them durable, those that lie together at once.
    pub fn save(&self) -> DiskResult<()> {
        let mut bytes = Vec::new();
        for run in self.changed.chunk_by(|a, b| a.0 + 1 == b.0) {
            bytes.clear();
            for (_, slot) in run {
                bytes.extend_from_slice(&slot.encode());
            }
            self.file.write_at(&bytes, run[0].0 * SLOT_LEN as u64)?;
        }
        self.file.sync()
    }
}

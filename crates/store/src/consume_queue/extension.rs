//! What stands beside the entries of a queue: tags code, store time and the bit map of filters that
//! took the message (`enableConsumeQueueExt`).
//!
//! ```text
//! | 2 length | 8 tags code | 8 store time | 2 bytes of bit map | n bit map |
//! ```
//! Big-endian, in the files of `consumequeue_ext/`; a length of -1 says that the next unit is in the
//! next file (Java: `ConsumeQueueExt`). The entry has the unit's address in place of its tags code:
//! the position, counted from the smallest number there is. A unit is made durable before its entry;
//! one that is none is as if it were not there, since the log knows what it said.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::{ENTRY_LEN, Slot};
use super::queue::{Queue, QueueState};
use super::{Queues, merge};
use crate::commit_log::base_of;
use crate::disk::{Allocation, DiskFile, DiskResult, Wait};
use crate::handles::FileKey;

/// Bytes of a unit without a bit map.
const HEAD_LEN: usize = 20;
const UNIT_LEN_MAX: usize = i16::MAX as usize;
/// Java: `END_BLANK_DATA_LENGTH`, kept free at the end of a file for the mark of the end.
const END_LEN: u64 = 4;
const END_MARK: [u8; 2] = (-1i16).to_be_bytes();
/// The last position that still has an address below all hashes.
const PLACE_MAX: u64 = (i32::MIN as i64 - 1).wrapping_sub(i64::MIN) as u64;
/// Entries looked through for the last that has an address.
const LOOKS_BACK: u64 = 4096;
/// In the numbers of owners of open files: the queue's extension.
const OWNER_BIT: u64 = 1 << 63;

/// What stands beside one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub tags_code: i64,
    pub store_time: i64,
    pub bits: Box<[u8]>,
}

/// The extension files of a queue.
#[derive(Debug, Default)]
pub(super) struct Extension {
    /// Bytes that files cover.
    files: Range<u64>,
    /// Where the next unit goes.
    end: u64,
    /// Written and not yet durable.
    dirty: Option<Range<u64>>,
    /// A unit differed from what recovery found: what follows is not kept either.
    differs: bool,
}

impl Unit {
    fn len(&self) -> usize {
        HEAD_LEN + self.bits.len()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&(self.len() as i16).to_be_bytes());
        bytes.extend_from_slice(&self.tags_code.to_be_bytes());
        bytes.extend_from_slice(&self.store_time.to_be_bytes());
        bytes.extend_from_slice(&(self.bits.len() as i16).to_be_bytes());
        bytes.extend_from_slice(&self.bits);
        bytes
    }
}

fn address(place: u64) -> i64 {
    (place as i64).wrapping_add(i64::MIN)
}

/// The position that an address means; `None` of what is a tags code.
fn place_of(tags_code: i64) -> Option<u64> {
    (tags_code < i64::from(i32::MIN)).then(|| tags_code.wrapping_sub(i64::MIN) as u64)
}

impl Queues {
    pub(super) fn extension_dir(&self, topic: &str) -> PathBuf {
        self.extension_dir.join(topic)
    }

    fn extension_path(&self, queue: &Queue, base: u64) -> PathBuf {
        self.extension_dir(&queue.topic).join(queue.id.to_string()).join(format!("{base:020}"))
    }

    pub(super) fn extension_owner(queue: &Queue) -> u64 {
        queue.owner | OWNER_BIT
    }

    fn extension_file(&self, queue: &Queue, base: u64) -> DiskResult<Arc<dyn DiskFile>> {
        let key = FileKey { owner: Self::extension_owner(queue), base };
        self.handles.get(key, || self.extension_path(queue, base))
    }

    /// What stands beside the entry with this in place of its tags code; `None` if nothing does.
    pub(crate) fn unit(
        &self,
        queue: &Queue,
        tags_code: i64,
        wait: Wait,
    ) -> DiskResult<Option<Unit>> {
        let Some(place) = place_of(tags_code) else { return Ok(None) };
        let file_size = self.extension_file_size;
        let base = place / file_size * file_size;
        let at = place - base;
        if at + HEAD_LEN as u64 > file_size {
            return Ok(None);
        }
        let file = match self.extension_file(queue, base) {
            Ok(file) => file,
            Err(cause) if cause.is_not_found() => return Ok(None),
            Err(cause) => return Err(cause),
        };
        if file.len() < file_size {
            return Ok(None);
        }
        let mut head = [0; HEAD_LEN];
        file.read(&mut head, at, wait)?;
        let [l0, l1, t0, t1, t2, t3, t4, t5, t6, t7, s0, s1, s2, s3, s4, s5, s6, s7, b0, b1] = head;
        let (len, bits) = (i16::from_be_bytes([l0, l1]), i16::from_be_bytes([b0, b1]));
        let (Ok(len), Ok(bits)) = (usize::try_from(len), usize::try_from(bits)) else {
            return Ok(None);
        };
        if len != HEAD_LEN + bits || at + len as u64 > file_size {
            return Ok(None);
        }
        let mut map = vec![0; bits];
        if bits > 0 {
            file.read(&mut map, at + HEAD_LEN as u64, wait)?;
        }
        Ok(Some(Unit {
            tags_code: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            store_time: i64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            bits: map.into(),
        }))
    }

    /// Writes the units of entries from `first` on, and puts their addresses into the slots. Units
    /// that recovery finds as they would be, but for the bit map, stay.
    pub(super) fn extend(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        first: u64,
        slots: &mut [Slot],
        units: &[Unit],
    ) -> DiskResult<()> {
        if state.extension.is_none() {
            let found = self.find_extension(queue, state, first)?;
            state.extension = Some(Box::new(found));
        }
        let keeps =
            self.recovering.load(Ordering::Relaxed) && !self.rewriting.load(Ordering::Relaxed);
        for ((slot, unit), index) in slots.iter_mut().zip(units).zip(first..) {
            let at = index * ENTRY_LEN as u64;
            if keeps && state.files.contains(&at) {
                let old = self.slot(queue, index)?;
                let is_same = old.physical_offset == slot.physical_offset && old.size == slot.size;
                let found = match self.unit(queue, old.tags_code, Wait::ForDisk)? {
                    Some(found) if is_same => found,
                    _ => Unit { tags_code: 0, store_time: 0, bits: Box::default() },
                };
                let extension = state.extension.get_or_insert_default();
                if !extension.differs
                    && found.tags_code == unit.tags_code
                    && found.store_time == unit.store_time
                    && let Some(place) = place_of(old.tags_code)
                {
                    let end = place + found.len() as u64;
                    extension.end = extension.end.max(end);
                    merge(&mut extension.dirty, place..end);
                    slot.tags_code = old.tags_code;
                    continue;
                }
                extension.differs = true;
            }
            let extension = state.extension.get_or_insert_default();
            if let Some(place) = self.put_unit(queue, extension, unit)? {
                slot.tags_code = address(place);
            }
        }
        Ok(())
    }

    /// Where the unit was put; `None` if it has no room, and the entry keeps its tags code.
    fn put_unit(
        &self,
        queue: &Queue,
        extension: &mut Extension,
        unit: &Unit,
    ) -> DiskResult<Option<u64>> {
        let file_size = self.extension_file_size;
        let len = unit.len() as u64;
        if unit.len() > UNIT_LEN_MAX || len + END_LEN > file_size || extension.end > PLACE_MAX - len
        {
            return Ok(None);
        }
        let mut base = extension.end / file_size * file_size;
        if extension.end + len + END_LEN > base + file_size {
            if extension.files.contains(&extension.end) {
                let place = extension.end;
                self.extension_file(queue, base)?.write_at(&END_MARK, place - base)?;
                merge(&mut extension.dirty, place..place + END_MARK.len() as u64);
            }
            base += file_size;
            extension.end = base;
        }
        if !extension.files.contains(&base) {
            let path = self.extension_path(queue, base);
            let file = self.disk.create(&path, file_size, Allocation::Sparse)?;
            self.handles.insert(FileKey { owner: Self::extension_owner(queue), base }, file);
            if extension.files.is_empty() {
                extension.files.start = base;
            }
            extension.files.end = base + file_size;
        }
        let place = extension.end;
        self.extension_file(queue, base)?.write_at(&unit.encode(), place - base)?;
        merge(&mut extension.dirty, place..place + len);
        extension.end = place + len;
        Ok(Some(place))
    }

    /// The files, and where to go on: behind the unit of the last entry before `index`. Where that
    /// does not show, in a new file.
    fn find_extension(
        &self,
        queue: &Queue,
        state: &QueueState,
        index: u64,
    ) -> DiskResult<Extension> {
        let file_size = self.extension_file_size;
        let bases = self.extension_bases(queue)?;
        let files = match bases.first().zip(bases.last()) {
            Some((first, last)) => *first..last + file_size,
            None => 0..0,
        };
        let mut end = files.end;
        let start = state.files.start / ENTRY_LEN as u64;
        for index in (start.max(index.saturating_sub(LOOKS_BACK))..index).rev() {
            let tags_code = self.slot(queue, index)?.tags_code;
            let Some(place) = place_of(tags_code) else { continue };
            end = match self.unit(queue, tags_code, Wait::ForDisk)? {
                Some(unit) => place + unit.len() as u64,
                // No other unit may take its address.
                None => end.max((place / file_size + 1) * file_size),
            };
            break;
        }
        Ok(Extension { files, end, ..Extension::default() })
    }

    fn extension_bases(&self, queue: &Queue) -> DiskResult<Vec<u64>> {
        let dir = self.extension_dir(&queue.topic).join(queue.id.to_string());
        let listed = self.disk.list(&dir)?.into_iter().filter(|file| !file.is_dir);
        let bases = listed.filter_map(|file| base_of(&file.name));
        Ok(bases.filter(|base| base.is_multiple_of(self.extension_file_size)).collect())
    }

    /// Makes what is new of the queue's extension durable.
    pub(super) fn sync_extension(&self, queue: &Queue) -> DiskResult<()> {
        let mut state = queue.state();
        let Some(range) = state.extension.as_mut().and_then(|found| found.dirty.take()) else {
            return Ok(());
        };
        drop(state);
        let file_size = self.extension_file_size;
        let mut base = range.start / file_size * file_size;
        let mut synced = Ok(());
        while base < range.end && synced.is_ok() {
            synced = match self.extension_file(queue, base).and_then(|file| file.sync()) {
                // It expired meanwhile.
                Err(cause) if cause.is_not_found() => Ok(()),
                synced => synced,
            };
            base += file_size;
        }
        // A new file came with the range, and maybe its directories.
        let is_new = range.start.is_multiple_of(file_size)
            || (range.end - 1) / file_size > range.start / file_size;
        if synced.is_ok() && is_new {
            let topic = self.extension_dir(&queue.topic);
            synced = self
                .disk
                .sync_dir(&topic.join(queue.id.to_string()))
                .and_then(|()| self.disk.sync_dir(&topic))
                .and_then(|()| self.disk.sync_dir(&self.extension_dir));
        }
        synced.inspect_err(|_| {
            if let Some(extension) = &mut queue.state().extension {
                merge(&mut extension.dirty, range);
            }
        })
    }

    /// Deletes the extension files whose units are all of entries before the queue's first, but
    /// not the last file (Java: `truncateByMinAddress`).
    pub(super) fn delete_expired_extension(
        &self,
        queue: &Queue,
        state: &mut QueueState,
    ) -> DiskResult<()> {
        if !self.disk.list(&self.extension_dir)?.iter().any(|dir| *dir.name == *queue.topic) {
            return Ok(());
        }
        let (min, max) = (queue.min(), queue.max());
        let at = if min < max { min } else { max.saturating_sub(1) };
        if !state.files.contains(&(at * ENTRY_LEN as u64)) {
            return Ok(());
        }
        let Some(place) = place_of(self.slot(queue, at)?.tags_code) else { return Ok(()) };
        let bases = self.extension_bases(queue)?;
        for base in &bases[..bases.len().saturating_sub(1)] {
            let end = base + self.extension_file_size;
            if end > place {
                break;
            }
            self.handles.forget(FileKey { owner: Self::extension_owner(queue), base: *base });
            self.disk.remove(&self.extension_path(queue, *base))?;
            if let Some(extension) = &mut state.extension {
                extension.files.start = end;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_below_all_hashes_and_lead_back() {
        for place in [0, 20, PLACE_MAX] {
            assert!(address(place) < i64::from(i32::MIN));
            assert_eq!(place_of(address(place)), Some(place));
        }
        assert_eq!(place_of(i64::from(i32::MIN)), None);
        assert_eq!(place_of(1_700_000_000_000), None);
    }

    #[test]
    fn a_unit_has_the_bytes_of_a_java_broker() {
        let unit = Unit { tags_code: 65, store_time: 1, bits: vec![4, 0].into() };
        let expected = [0, 22, 0, 0, 0, 0, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 4, 0];
        assert_eq!(unit.encode(), expected);
    }
}

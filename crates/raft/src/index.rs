//! `raft/index/`: for each entry of the Raft log, where its bytes are in the commit log.
//!
//! A file is 64 bytes of head and a fixed number of slots, named by the index of its first:
//!
//! ```text
//! | 8 "SKUARAFT" | 4 version | 8 first index | 8 slots | zeros | 4 CRC of all before, at 60 |
//! ```

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skua_store::Disk;
use skua_store::disk::{Allocation, DiskError, DiskFile, DiskResult};

use crate::dirty::Dirty;
use crate::slot::{SLOT_LEN, Slot};

const HEAD_LEN: usize = 64;
const MAGIC: &[u8; 8] = b"SKUARAFT";
const VERSION: u32 = 1;
/// Slots kept in memory.
const RECENT_MAX: usize = 1 << 16;
/// Slots read at a time when the index is opened.
const CHUNK: u64 = 4096;

/// The entry before the first that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    pub index: u64,
    pub term: u64,
    /// Where the first entry behind begins in the commit log.
    pub end: u64,
}

#[derive(Debug)]
struct IndexFile {
    first: u64,
    file: Arc<dyn DiskFile>,
}

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Index {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    dirty: Arc<Dirty>,
    file_slots: u64,
    base: Base,
    last: u64,
    files: VecDeque<IndexFile>,
    /// The newest slots, up to `last`.
    recent: VecDeque<Slot>,
}

impl Index {
    pub fn dir(root: &Path) -> PathBuf {
        root.join("raft").join("index")
    }

    /// Reads what is there behind `base`, up to the first slot that is not one or does not follow.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        dirty: Arc<Dirty>,
        file_slots: u64,
        base: Base,
    ) -> DiskResult<Self> {
        let dir = Self::dir(root);
        let mut index = Self {
            disk,
            dir,
            dirty,
            file_slots,
            base,
            last: base.index,
            files: VecDeque::new(),
            recent: VecDeque::new(),
        };
        index.find_files()?;
        index.find_last()?;
        index.cut()?;
        Ok(index)
    }

    /// Keeps the files that follow each other from the base on; the others are of no use.
    fn find_files(&mut self) -> DiskResult<()> {
        let mut useless = Vec::new();
        let mut next = None;
        for listed in self.disk.list(&self.dir)? {
            let path = self.dir.join(&listed.name);
            let first = listed.name.parse().ok().filter(|_| listed.name.len() == 20);
            let len = HEAD_LEN as u64 + self.file_slots * SLOT_LEN as u64;
            let (Some(first), true) = (first, listed.len == len) else {
                useless.push(path);
                continue;
            };
            let file = self.disk.open(&path)?;
            let mut head = [0; HEAD_LEN];
            file.read_at(&mut head, 0)?;
            let wanted = next.map_or(first <= self.base.index + 1, |next| first == next);
            if head != self.head(first) || !wanted || first + self.file_slots <= self.base.index + 1
            {
                useless.push(path);
                continue;
            }
            next = Some(first + self.file_slots);
            self.files.push_back(IndexFile { first, file });
        }
        for path in &useless {
            tracing::debug!(file = %path.display(), "index file of no use is deleted");
            self.disk.remove(path)?;
        }
        if !useless.is_empty() {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    fn find_last(&mut self) -> DiskResult<()> {
        let mut buffer = Vec::new();
        let mut before = Slot { term: self.base.term, ..empty_at(self.base.end) };
        'files: for nth in 0..self.files.len() {
            let IndexFile { first, file } = &self.files[nth];
            let mut at = (*first).max(self.base.index + 1);
            let end = first + self.file_slots;
            while at < end {
                let count = (end - at).min(CHUNK);
                buffer.resize(count as usize * SLOT_LEN, 0);
                file.read_at(&mut buffer, place(*first, at))?;
                for bytes in buffer.chunks_exact(SLOT_LEN) {
                    let bytes = bytes.try_into().unwrap_or(&[0; SLOT_LEN]);
                    match Slot::decode(at, bytes) {
                        Some(slot) if slot.at == before.end() && slot.term >= before.term => {
                            before = slot;
                            if self.recent.len() >= RECENT_MAX {
                                self.recent.pop_front();
                            }
                            self.recent.push_back(slot);
                            self.last = at;
                        }
                        _ => break 'files,
                    }
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Nothing is left behind the last slot that could be taken for one later.
    fn cut(&mut self) -> DiskResult<()> {
        let next = self.last + 1;
        while let Some(file) = self.files.back().filter(|file| file.first >= next) {
            self.disk.remove(&self.path(file.first))?;
            self.disk.sync_dir(&self.dir)?;
            self.files.pop_back();
        }
        if let Some(IndexFile { first, file }) = self.files.back() {
            let from = place(*first, next);
            if from < file.len() && !file.data(from)?.is_empty() {
                file.zero(from..file.len(), Allocation::Reserved)?;
                file.sync()?;
            }
        }
        Ok(())
    }

    fn head(&self, first: u64) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_be_bytes());
        head[12..20].copy_from_slice(&first.to_be_bytes());
        head[20..28].copy_from_slice(&self.file_slots.to_be_bytes());
        let crc = crc32fast::hash(&head[..60]);
        head[60..].copy_from_slice(&crc.to_be_bytes());
        head
    }

    fn path(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{first:020}"))
    }

    pub fn base(&self) -> Base {
        self.base
    }

    pub fn first(&self) -> u64 {
        self.base.index + 1
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    /// Where the next entry begins in the commit log.
    pub fn end(&self) -> u64 {
        self.recent.back().map_or(self.base.end, Slot::end)
    }

    /// The slot of an entry that is there.
    pub fn slot(&self, index: u64) -> DiskResult<Option<Slot>> {
        if index <= self.base.index || index > self.last {
            return Ok(None);
        }
        let behind = (self.last - index) as usize;
        if let Some(nth) = self.recent.len().checked_sub(behind + 1) {
            return Ok(Some(self.recent[nth]));
        }
        self.read(index).map(Some)
    }

    fn read(&self, index: u64) -> DiskResult<Slot> {
        let nth = self.files.partition_point(|file| file.first <= index);
        let found = nth.checked_sub(1).map(|nth| &self.files[nth]);
        let path = self.path(index);
        let broken = || DiskError::new("find", &path, std::io::Error::other("no slot there"));
        let IndexFile { first, file } = found.ok_or_else(broken)?;
        let mut bytes = [0; SLOT_LEN];
        file.read_at(&mut bytes, place(*first, index))?;
        Slot::decode(index, &bytes).ok_or_else(broken)
    }

    /// Term of an entry, or of the base.
    pub fn term(&self, index: u64) -> DiskResult<Option<u64>> {
        if index == self.base.index {
            return Ok(Some(self.base.term));
        }
        Ok(self.slot(index)?.map(|slot| slot.term))
    }

    /// End of an entry in the commit log.
    pub fn end_of(&self, index: u64) -> DiskResult<Option<u64>> {
        if index == self.base.index {
            return Ok(Some(self.base.end));
        }
        Ok(self.slot(index)?.map(|slot| slot.end()))
    }

    /// The last entry that ends at `end` or before.
    pub fn last_before(&self, end: u64) -> DiskResult<u64> {
        let (mut low, mut high) = (self.base.index, self.last);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.end_of(middle)? {
                Some(at) if at <= end => low = middle,
                _ => high = middle - 1,
            }
        }
        Ok(low)
    }

    /// The last entry with bytes that ends at `end` or before. Of those without, which end there
    /// too, a mark in the commit log says nothing.
    pub fn last_with_bytes(&self, end: u64) -> DiskResult<u64> {
        let mut last = self.last_before(end)?;
        while self.slot(last)?.is_some_and(|slot| slot.len == 0) {
            last -= 1;
        }
        Ok(last)
    }

    /// Writes the slots from `from` on again as they are; durable with the next sync.
    pub fn rewrite(&mut self, from: u64) -> DiskResult<()> {
        for index in from.max(self.first())..=self.last {
            let slot = self.read(index)?;
            let nth = self.files.partition_point(|file| file.first <= index);
            if let Some(IndexFile { first, file }) = nth.checked_sub(1).map(|nth| &self.files[nth])
            {
                file.write_at(&slot.encode(index), place(*first, index))?;
                self.dirty.add(file);
            }
        }
        Ok(())
    }

    /// Makes room for the next slot, so that a full disk shows before anything is written.
    pub fn make_room(&mut self) -> DiskResult<()> {
        let index = self.last + 1;
        let fits = |file: &IndexFile| index < file.first + self.file_slots;
        if self.files.back().is_some_and(fits) { Ok(()) } else { self.add_file(index) }
    }

    /// Writes the slot of the next entry; durable with the next sync.
    pub fn push(&mut self, slot: Slot) -> DiskResult<()> {
        let index = self.last + 1;
        self.make_room()?;
        if let Some(IndexFile { first, file }) = self.files.back() {
            file.write_at(&slot.encode(index), place(*first, index))?;
            self.dirty.add(file);
        }
        self.last = index;
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(slot);
        Ok(())
    }

    fn add_file(&mut self, first: u64) -> DiskResult<()> {
        let path = self.path(first);
        // Left from a life that did not get as far as to use it.
        self.disk.remove(&path)?;
        let len = HEAD_LEN as u64 + self.file_slots * SLOT_LEN as u64;
        let file = self.disk.create(&path, len, Allocation::Reserved)?;
        let made = file
            .write_at(&self.head(first), 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .and_then(|()| self.disk.sync_dir(self.dir.parent().unwrap_or(&self.dir)));
        if let Err(cause) = made {
            let _ = self.disk.remove(&path);
            return Err(cause);
        }
        self.files.push_back(IndexFile { first, file });
        Ok(())
    }

    /// Takes back the entries from `from` on, durably.
    pub fn truncate(&mut self, from: u64) -> DiskResult<()> {
        if from > self.last {
            return Ok(());
        }
        let last = self.last;
        while let Some(file) = self.files.back().filter(|file| file.first >= from) {
            self.dirty.forget(&file.file);
            self.disk.remove(&self.path(file.first))?;
            self.disk.sync_dir(&self.dir)?;
            self.files.pop_back();
        }
        if let Some(IndexFile { first, file }) = self.files.back() {
            let to = (last + 1).min(first + self.file_slots);
            if from < to {
                let zeros = vec![0; (to - from) as usize * SLOT_LEN];
                file.write_at(&zeros, place(*first, from))?;
                file.sync()?;
            }
        }
        let gone = (last + 1 - from) as usize;
        self.last = from - 1;
        if gone < self.recent.len() {
            self.recent.truncate(self.recent.len() - gone);
            return Ok(());
        }
        self.recent.clear();
        if self.last > self.base.index {
            let slot = self.read(self.last)?;
            self.recent.push_back(slot);
        }
        Ok(())
    }

    /// Lets go of the files whose entries are all before `base`, which is noted elsewhere already.
    pub fn purge(&mut self, base: Base) -> DiskResult<()> {
        self.base = base;
        while let Some(file) = self.files.front()
            && self.files.len() > 1
            && file.first + self.file_slots <= base.index + 1
        {
            self.dirty.forget(&file.file);
            let path = self.path(file.first);
            self.files.pop_front();
            self.disk.remove(&path)?;
            self.disk.sync_dir(&self.dir)?;
        }
        let kept = (self.last - base.index) as usize;
        while self.recent.len() > kept {
            self.recent.pop_front();
        }
        Ok(())
    }

    /// Empties the index; entries go on behind `base` once that is noted.
    pub fn clear(&mut self, base: Base) -> DiskResult<()> {
        while let Some(file) = self.files.pop_back() {
            self.dirty.forget(&file.file);
            self.disk.remove(&self.path(file.first))?;
            self.disk.sync_dir(&self.dir)?;
        }
        self.recent.clear();
        self.base = base;
        self.last = base.index;
        Ok(())
    }
}

fn place(first: u64, index: u64) -> u64 {
    HEAD_LEN as u64 + (index - first) * SLOT_LEN as u64
}

/// A slot before the first, of no length.
fn empty_at(at: u64) -> Slot {
    let kind = crate::slot::Kind::Empty;
    Slot { term: 0, at, len: 0, kind, flags: 0, messages: 0, crc: 0 }
}

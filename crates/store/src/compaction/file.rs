//! A queue's file: records, where each begins, and an end that shows it is whole.
//!
//! ```text
//! | records … | count × (8 queue offset, 8 position) |
//! | 8 magic | 8 until | 8 end of the log's stretch | 8 count | 8 position of the list | 4 CRC |
//! ```
//! Big-endian; the CRC is that of the list and what follows it. Named by `until`, the queue offset
//! behind the last message that was looked at; the newest whole file counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::consume_queue::bisect;
use crate::disk::{Allocation, Disk, DiskFile, DiskResult, Wait};

const MAGIC: [u8; 8] = *b"SKUAKEPT";
const PLACE_LEN: u64 = 16;
const FOOTER_LEN: usize = 8 + 8 + 8 + 8 + 8 + 4;
/// Bytes of the list read or written at a time.
const STEP: u64 = 1 << 16;

/// A whole file.
#[derive(Debug)]
pub(crate) struct Compacted {
    file: Arc<dyn DiskFile>,
    /// What lies behind is read from the log.
    pub until: u64,
    /// The records of everything before `until` lie before that in the log.
    pub log_end: u64,
    /// Records.
    pub count: u64,
    /// Queue offset of the first.
    pub first: Option<u64>,
    list_at: u64,
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("the range has eight bytes"))
}

impl Compacted {
    /// The newest whole file of a folder; others are deleted.
    pub(crate) fn newest(disk: &dyn Disk, dir: &Path) -> DiskResult<Option<Self>> {
        let mut names: Vec<_> = disk.list(dir)?.into_iter().map(|file| file.name).collect();
        names.sort_unstable();
        let mut newest = None;
        for name in names.into_iter().rev() {
            let path = dir.join(name);
            if newest.is_none() {
                newest = Self::open(disk, &path)?;
                if let Some(newest) = &newest {
                    // A process that was killed may have left it in the page cache only.
                    newest.file.sync()?;
                    sync_dirs(disk, dir)?;
                    continue;
                }
                tracing::warn!(path = %path.display(), "a compacted file is not whole");
            }
            disk.remove(&path)?;
        }
        Ok(newest)
    }

    fn open(disk: &dyn Disk, path: &Path) -> DiskResult<Option<Self>> {
        let file = disk.open(path)?;
        let Some(footer_at) = file.len().checked_sub(FOOTER_LEN as u64) else { return Ok(None) };
        let mut footer = [0; FOOTER_LEN];
        file.read_at(&mut footer, footer_at)?;
        let (told, crc) = footer.split_at(FOOTER_LEN - 4);
        let (count, list_at) = (number(told, 24), number(told, 32));
        let fits = count.checked_mul(PLACE_LEN).and_then(|len| len.checked_add(list_at));
        if told[..8] != MAGIC || fits != Some(footer_at) {
            return Ok(None);
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut at = list_at;
        let mut first = None;
        while at < footer_at {
            let mut bytes = vec![0; STEP.min(footer_at - at) as usize];
            file.read_at(&mut bytes, at)?;
            hasher.update(&bytes);
            first = first.or_else(|| Some(number(&bytes, 0)));
            at += bytes.len() as u64;
        }
        hasher.update(told);
        if hasher.finalize().to_be_bytes() != *crc {
            return Ok(None);
        }
        let (until, log_end) = (number(told, 8), number(told, 16));
        Ok(Some(Self { file, until, log_end, count, first, list_at }))
    }

    /// Queue offset and position of the record `nth`.
    fn place(&self, nth: u64, wait: Wait) -> DiskResult<(u64, u64)> {
        if nth >= self.count {
            return Ok((self.until, self.list_at));
        }
        let mut bytes = [0; PLACE_LEN as usize];
        self.file.read(&mut bytes, self.list_at + nth * PLACE_LEN, wait)?;
        Ok((number(&bytes, 0), number(&bytes, 8)))
    }

    pub(crate) fn offset(&self, nth: u64, wait: Wait) -> DiskResult<u64> {
        Ok(self.place(nth, wait)?.0)
    }

    /// Which record is the first from queue offset `from` on.
    pub(crate) fn find(&self, from: u64, wait: Wait) -> DiskResult<u64> {
        bisect(0..self.count, |nth| Ok(self.place(nth, wait)?.0 < from))
    }

    /// Fills `into` with the record `nth`; gives its queue offset.
    pub(crate) fn record(&self, nth: u64, wait: Wait, into: &mut Vec<u8>) -> DiskResult<u64> {
        let (offset, from) = self.place(nth, wait)?;
        let (_, to) = self.place(nth + 1, wait)?;
        // What the list says has its checksum.
        into.resize(to.saturating_sub(from) as usize, 0);
        self.file.read(into, from, wait)?;
        Ok(offset)
    }

    /// Bytes of its records.
    pub(crate) fn bytes(&self) -> u64 {
        self.list_at
    }
}

/// Folders of the queue, the topic, all of them, and the store.
fn sync_dirs(disk: &dyn Disk, dir: &Path) -> DiskResult<()> {
    dir.ancestors().take(4).try_for_each(|dir| disk.sync_dir(dir))
}

/// A file in the making.
pub(crate) struct Writer {
    dir: PathBuf,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    at: u64,
    count: u64,
    /// Where the list goes: behind as many bytes of records as there can be.
    list_at: u64,
    pending: Vec<u8>,
    places: Vec<u8>,
    places_at: u64,
}

impl Writer {
    /// For up to `count` records of `bytes` together.
    pub(crate) fn new(
        disk: &dyn Disk,
        dir: &Path,
        until: u64,
        bytes: u64,
        count: u64,
    ) -> DiskResult<Self> {
        let path = dir.join(format!("{until:020}"));
        disk.remove(&path)?;
        let len = bytes + count * PLACE_LEN + FOOTER_LEN as u64;
        let file = disk.create(&path, len, Allocation::Sparse)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            path,
            file,
            at: 0,
            count: 0,
            list_at: bytes,
            pending: Vec::new(),
            places: Vec::new(),
            places_at: bytes,
        })
    }

    pub(crate) fn push(&mut self, queue_offset: u64, record: &[u8]) -> DiskResult<()> {
        self.places.extend_from_slice(&queue_offset.to_be_bytes());
        self.places.extend_from_slice(&(self.at + self.pending.len() as u64).to_be_bytes());
        self.pending.extend_from_slice(record);
        self.count += 1;
        if self.pending.len() as u64 >= STEP {
            self.file.write_at(&self.pending, self.at)?;
            self.at += self.pending.len() as u64;
            self.pending.clear();
        }
        if self.places.len() as u64 >= STEP {
            self.file.write_at(&self.places, self.places_at)?;
            self.places_at += self.places.len() as u64;
            self.places.clear();
        }
        Ok(())
    }

    /// Moves the list behind the records, ends the file and makes it durable.
    pub(crate) fn finish(
        mut self,
        disk: &dyn Disk,
        until: u64,
        log_end: u64,
    ) -> DiskResult<Option<Compacted>> {
        self.file.write_at(&self.pending, self.at)?;
        self.at += self.pending.len() as u64;
        self.file.write_at(&self.places, self.places_at)?;
        let len = self.count * PLACE_LEN;
        let (mut done, list_at) = (0, self.at);
        let mut hasher = crc32fast::Hasher::new();
        while done < len {
            let mut bytes = vec![0; STEP.min(len - done) as usize];
            self.file.read_at(&mut bytes, self.list_at + done)?;
            hasher.update(&bytes);
            self.file.write_at(&bytes, list_at + done)?;
            done += bytes.len() as u64;
        }
        let mut footer = Vec::with_capacity(FOOTER_LEN);
        footer.extend_from_slice(&MAGIC);
        for number in [until, log_end, self.count, list_at] {
            footer.extend_from_slice(&number.to_be_bytes());
        }
        hasher.update(&footer);
        footer.extend_from_slice(&hasher.finalize().to_be_bytes());
        // The footer says that the records before it are there.
        self.file.sync()?;
        self.file.write_at(&footer, list_at + len)?;
        self.file.set_len(list_at + len + FOOTER_LEN as u64)?;
        self.file.sync()?;
        sync_dirs(disk, &self.dir)?;
        Compacted::open(disk, &self.path)
    }
}

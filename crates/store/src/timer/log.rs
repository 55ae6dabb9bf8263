//! The files under `timerlog/`: units of all slots, one behind the other.
//!
//! A unit never lies across two files; what is left of one is filled by a blank. Everything
//! behind the end is zero.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{BLANK_LEN, BLANK_MAGIC, Place, UNIT_LEN, Unit};
use crate::commit_log::base_of;
use crate::disk::{Allocation, Disk, DiskFile, DiskResult};
use crate::error::OpenError;
use crate::options::FileSize;

/// Bytes of a read when units are looked up one by one: chains lead backwards, often to the
/// unit just before.
const PAGE: u64 = 4096;
/// Bytes of a read when a file is gone through.
const CHUNK: usize = 1024 * UNIT_LEN;

#[derive(Debug)]
pub(super) struct TimerLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file_size: u64,
    /// First offset of the first file, and the end of the last.
    files: Range<u64>,
    /// Behind the last unit.
    end: u64,
    /// Everything before is durable.
    synced: u64,
    /// The file used last.
    open: Option<(u64, Arc<dyn DiskFile>)>,
    /// Bytes of `page_at..` of a file, for lookups.
    page: Vec<u8>,
    page_at: u64,
    has_new_file: bool,
    /// Units before `end` that are not in their file yet.
    unwritten: Vec<u8>,
}

impl TimerLog {
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf, size: FileSize) -> Result<Self, OpenError> {
        let mut bases = Vec::new();
        let mut found = None;
        for listed in disk.list(&dir)?.into_iter().filter(|listed| !listed.is_dir) {
            let path = dir.join(&listed.name);
            let base = base_of(&listed.name).ok_or_else(|| OpenError::FileName(path.clone()))?;
            if listed.len == 0 {
                // Its making was cut short.
                disk.remove(&path)?;
                continue;
            }
            found.get_or_insert(listed.len);
            bases.push((base, listed.len, path));
        }
        let file_size = size.resolve(found);
        if file_size < (UNIT_LEN + BLANK_LEN) as u64 {
            let (key, must) = ("mappedFileSizeTimerLog", "at least 68");
            return Err(OpenError::Option { key, value: file_size, must });
        }
        for (at, (base, len, path)) in bases.iter().enumerate() {
            if *len != file_size {
                let (found, expected) = (*len, file_size);
                let (path, key) = (path.clone(), "mappedFileSizeTimerLog");
                return Err(OpenError::FileSize { path, found, expected, key });
            }
            if *base != bases[0].0 + at as u64 * file_size || base % file_size != 0 {
                return Err(OpenError::FileName(path.clone()));
            }
        }
        let start = bases.first().map_or(0, |(base, ..)| *base);
        let files = start..start + bases.len() as u64 * file_size;
        let end = files.start;
        let (open, page) = (None, Vec::new());
        let (page_at, has_new_file) = (0, false);
        Ok(Self {
            disk,
            dir,
            file_size,
            files,
            end,
            synced: end,
            open,
            page,
            page_at,
            has_new_file,
            unwritten: Vec::new(),
        })
    }

    pub fn start(&self) -> u64 {
        self.files.start
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether there are files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn path(dir: &Path, base: u64) -> PathBuf {
        dir.join(format!("{base:020}"))
    }

    fn file(&mut self, base: u64) -> DiskResult<Arc<dyn DiskFile>> {
        if let Some((open, file)) = &self.open
            && *open == base
        {
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open(&Self::path(&self.dir, base))?;
        self.open = Some((base, Arc::clone(&file)));
        Ok(file)
    }

    fn base(&self, position: u64) -> u64 {
        position / self.file_size * self.file_size
    }

    /// Whether a unit may begin there.
    pub fn is_place(&self, position: u64) -> bool {
        self.files.contains(&position)
            && (position % self.file_size).is_multiple_of(UNIT_LEN as u64)
    }

    /// Whether a file ends there, as the log itself may.
    pub fn is_file_end(&self, position: u64) -> bool {
        position == self.files.end && !self.files.is_empty()
    }

    /// Ends the log behind the last unit from `from` on that `keep` takes.
    pub fn recover(
        &mut self,
        from: u64,
        keep: &mut dyn FnMut(u64, &Unit) -> DiskResult<bool>,
    ) -> DiskResult<()> {
        let end = self.walk(from, keep)?;
        self.cut(end)?;
        // What a killed process wrote may be in the page cache only, the files' names too. A new
        // store has no folder to sync.
        self.synced = self.base(from).clamp(self.files.start, self.synced);
        self.has_new_file |= !self.files.is_empty();
        Ok(())
    }

    /// Goes through the units from `from` on as long as `keep` takes them; returns where it ended.
    pub fn walk(
        &mut self,
        from: u64,
        keep: &mut dyn FnMut(u64, &Unit) -> DiskResult<bool>,
    ) -> DiskResult<u64> {
        let mut at = from;
        let mut bytes = Vec::new();
        'files: while self.files.contains(&at) {
            let base = self.base(at);
            let file = self.file(base)?;
            while at + UNIT_LEN as u64 <= base + self.file_size {
                let room = base + self.file_size - at;
                bytes.resize((CHUNK as u64).min(room) as usize, 0);
                file.read_at(&mut bytes, at - base)?;
                let (units, _) = bytes.as_chunks::<UNIT_LEN>();
                for unit in units {
                    match Place::decode(unit, at) {
                        Place::Unit(unit) if keep(at, &unit)? => at += UNIT_LEN as u64,
                        // The rest of the file is for nobody.
                        Place::Blank => {
                            at = base + self.file_size;
                            continue 'files;
                        }
                        Place::Unit(_) | Place::Nothing => break 'files,
                    }
                }
            }
            let ends = at == base + self.file_size || self.is_end_filled(at - base, &*file)?;
            if !ends {
                break;
            }
            at = base + self.file_size;
        }
        Ok(at)
    }

    /// Whether a blank begins there, too short for a unit.
    fn is_end_filled(&self, at: u64, file: &dyn DiskFile) -> DiskResult<bool> {
        let mut blank = [0; BLANK_LEN];
        if at + BLANK_LEN as u64 > self.file_size {
            return Ok(false);
        }
        file.read_at(&mut blank, at)?;
        Ok(blank[12..] == BLANK_MAGIC.to_be_bytes())
    }

    /// Ends the log at `end`, and leaves nothing behind it.
    fn cut(&mut self, end: u64) -> DiskResult<()> {
        self.page.clear();
        while self.files.end > self.files.start && self.files.end - self.file_size >= end {
            let base = self.files.end - self.file_size;
            self.disk.remove(&Self::path(&self.dir, base))?;
            self.files.end = base;
            self.has_new_file = true;
            self.open = None;
        }
        if self.files.contains(&end) {
            let base = self.base(end);
            let range = end - base..self.file_size;
            self.file(base)?.zero(range, Allocation::Sparse)?;
        }
        self.end = end;
        // The next sync must save the zeros too.
        self.synced = self.base(end.saturating_sub(1)).max(self.files.start);
        Ok(())
    }

    /// Writes everything from `from` on again: a failed sync may have lost it.
    pub fn rewrite(&mut self, from: u64) -> DiskResult<()> {
        let mut at = from.max(self.files.start);
        let mut bytes = Vec::new();
        while at < self.end {
            let base = self.base(at);
            let to = self.end.min(base + self.file_size).min(at + CHUNK as u64);
            bytes.resize((to - at) as usize, 0);
            let file = self.file(base)?;
            file.read_at(&mut bytes, at - base)?;
            file.write_at(&bytes, at - base)?;
            at = to;
        }
        self.synced = self.synced.min(self.base(from).max(self.files.start));
        Ok(())
    }

    /// Adds a unit; returns its position. It is written by the next [`write`](Self::write), or
    /// when a file is full.
    pub fn push(&mut self, unit: &Unit) -> DiskResult<u64> {
        let position = self.room()?;
        self.unwritten.extend_from_slice(&unit.encode());
        self.end += UNIT_LEN as u64;
        Ok(position)
    }

    /// Where the next unit goes; makes a file for it if need be.
    fn room(&mut self) -> DiskResult<u64> {
        if self.files.contains(&self.end) {
            let base = self.base(self.end);
            let left = base + self.file_size - self.end;
            if left >= (UNIT_LEN + BLANK_LEN) as u64 {
                return Ok(self.end);
            }
            self.write()?;
            let mut blank = [0; BLANK_LEN];
            blank[..4].copy_from_slice(&(left as u32).to_be_bytes());
            blank[12..].copy_from_slice(&BLANK_MAGIC.to_be_bytes());
            self.file(base)?.write_at(&blank[..BLANK_LEN.min(left as usize)], self.end - base)?;
            self.end = base + self.file_size;
        }
        if self.end >= self.files.end {
            self.write()?;
            let path = Self::path(&self.dir, self.end);
            let file = self.disk.create(&path, self.file_size, Allocation::Sparse)?;
            self.files.end = self.end + self.file_size;
            self.has_new_file = true;
            self.open = Some((self.end, file));
        }
        Ok(self.end)
    }

    /// Writes what was added. Units that could not be written stay, and are tried again.
    pub fn write(&mut self) -> DiskResult<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // All of them lie in one file: `room` sees to that.
        let at = self.end - self.unwritten.len() as u64;
        let base = self.base(at);
        let file = self.file(base)?;
        file.write_at(&self.unwritten, at - base)?;
        self.unwritten.clear();
        self.page.clear();
        Ok(())
    }

    /// The unit at `position`; `None` if there is none, or its file is gone.
    pub fn unit(&mut self, position: i64) -> DiskResult<Option<Unit>> {
        let Ok(at) = u64::try_from(position) else { return Ok(None) };
        let end = at + UNIT_LEN as u64;
        if at < self.files.start || end > self.end {
            return Ok(None);
        }
        let base = self.base(at);
        let is_here =
            at >= self.page_at && end <= self.page_at + self.page.len() as u64 && end > base;
        if !is_here {
            self.page_at = end.saturating_sub(PAGE).max(base);
            self.page.resize((end - self.page_at) as usize, 0);
            let (from, mut page) = (self.page_at - base, std::mem::take(&mut self.page));
            self.file(base)?.read_at(&mut page, from)?;
            self.page = page;
        }
        let start = (at - self.page_at) as usize;
        let Some(bytes) = self.page[start..].first_chunk() else { return Ok(None) };
        Ok(match Place::decode(bytes, at) {
            Place::Unit(unit) => Some(unit),
            Place::Blank | Place::Nothing => None,
        })
    }

    /// Makes everything durable.
    pub fn sync(&mut self) -> DiskResult<()> {
        self.write()?;
        if self.has_new_file {
            self.disk.sync_dir(&self.dir)?;
            if let Some(root) = self.dir.parent() {
                self.disk.sync_dir(root)?;
            }
            self.has_new_file = false;
        }
        let mut base = self.base(self.synced);
        while base < self.end {
            if base >= self.files.start {
                self.file(base)?.sync()?;
            }
            base += self.file_size;
        }
        self.synced = self.end;
        Ok(())
    }

    /// Deletes files, never the last, whose messages all lie before `min` in the commit log (Java:
    /// `deleteExpiredFileByOffsetForTimerLog`).
    pub fn delete_expired(&mut self, min: u64) -> DiskResult<()> {
        while self.files.start + self.file_size < self.files.end
            && self.files.start + self.file_size <= self.end
        {
            let units = (self.file_size as usize - BLANK_LEN) / UNIT_LEN;
            let last = self.files.start + ((units - 1) * UNIT_LEN) as u64;
            match self.unit(last as i64)? {
                Some(unit) if unit.physical_offset < min => {}
                _ => return Ok(()),
            }
            let base = self.files.start;
            self.disk.remove(&Self::path(&self.dir, base))?;
            tracing::info!(file = base, "timer log file deleted: its messages have expired");
            self.files.start += self.file_size;
            self.open = None;
            self.page.clear();
        }
        Ok(())
    }
}

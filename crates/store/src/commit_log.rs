//! The one append-only log: a row of files of one length, named by their first offset.
//!
//! Whoever appends does it itself, under one short lock: it fills in the offsets, copies into a
//! mapped window of the active file and moves the `appended` mark. Readers see what lies below
//! the mark, from the windows at the end or by reading the file. Memory is bounded by the
//! windows, whatever the files' length.

mod append;
mod blocks;
mod expire;
mod folders;
mod read;
mod replica;
mod truncate;
mod window;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use arc_swap::ArcSwap;
use skua_protocol::{Millis, PhysicalOffset};

pub(crate) use append::{AppendPart, Appended, Place};
pub(crate) use blocks::{Block, GAP_MAX, LOOK_GAP_MAX, worth_blocks};

use crate::disk::{Allocation, Disk, DiskError, DiskFile, DiskResult, WriteBy, lock};
use crate::error::{Failure, OpenError};
use crate::gate::Epoch;
use crate::handles::{FileKey, Handles};
use crate::options::StoreOptions;
use crate::signal::Signal;
pub(crate) use folders::Folders;
use window::{ActiveWindow, HotWindow, Prepared};

/// Size and magic, which end every file: no record takes these last bytes.
pub(crate) const END_OF_FILE_LEN: u64 = 8;
/// Owner of the log's files among the open ones.
const LOG: u64 = 0;

/// See the module's words. `tail` has the append lock; everything else is read without it.
#[derive(Debug)]
pub(crate) struct CommitLog {
    disk: Arc<dyn Disk>,
    folders: Folders,
    file_size: u64,
    window_size: u64,
    write_by: WriteBy,
    hot_windows: usize,
    /// Records have a checksum as their last property.
    seals: bool,
    handles: Arc<Handles>,
    /// First offsets of the files, ascending, one file length apart. The last may be waiting for
    /// its first byte.
    files: RwLock<Vec<u64>>,
    /// Held while a file is made, so that readers of `files` need not wait for the disk.
    making: Mutex<()>,
    /// Mapped windows at the end, ascending; the last may be empty still.
    hot: ArcSwap<Vec<HotWindow>>,
    blocks: blocks::Blocks,
    tail: Mutex<Tail>,
    /// A window made ahead of need.
    prepared: Mutex<Option<Prepared>>,
    /// Everything below is readable.
    appended: AtomicU64,
    /// Store time of the last record.
    last_timestamp: AtomicU64,
    refusing: AtomicBool,
    failure: OnceLock<Failure>,
    window_wanted: AtomicBool,
    /// Whether readers of cold data read ahead (`dataReadAheadEnable`).
    pub(crate) read_ahead: AtomicBool,
    /// Wakes the work on files: the active window is half full.
    pub(crate) files_wanted: Signal,
}

/// What the append lock guards.
#[derive(Debug)]
struct Tail {
    /// Where the next record goes.
    end: u64,
    /// Windows over `end` and beyond, ascending.
    windows: VecDeque<ActiveWindow>,
    /// At this end the next window is wanted.
    wake_at: u64,
    closed: bool,
    /// Own messages are taken, in this epoch; if not, copies are.
    epoch: Option<Epoch>,
}

impl CommitLog {
    /// Looks at the files. What they hold is found by recovery, which then calls
    /// [`start_at`](Self::start_at).
    pub(crate) fn open(
        options: &StoreOptions,
        disk: Arc<dyn Disk>,
        handles: Arc<Handles>,
    ) -> Result<Self, OpenError> {
        let folders = Folders::new(options);
        if folders.is_empty() {
            return Err(OpenError::NoWritableFolder);
        }
        let listed = folders.list(&*disk, base_of)?;
        let found = listed.iter().map(|(_, entry)| entry.len).find(|len| *len > 0);
        let file_size = options.commit_log_file_size.resolve(found);
        if file_size <= END_OF_FILE_LEN {
            return Err(OpenError::Option {
                key: "mappedFileSizeCommitLog",
                value: file_size,
                must: "more than 8",
            });
        }
        let mut files = Vec::with_capacity(listed.len());
        for (nth, (path, entry)) in listed.iter().enumerate() {
            let base = base_of(&entry.name).ok_or_else(|| OpenError::FileName(path.clone()))?;
            if entry.len != file_size {
                // The last file may be one whose making was cut short.
                if nth + 1 == listed.len() && entry.len == 0 {
                    disk.remove(path)?;
                    folders.forget(base);
                    continue;
                }
                return Err(OpenError::FileSize {
                    path: path.clone(),
                    found: entry.len,
                    expected: file_size,
                    key: "mappedFileSizeCommitLog",
                });
            }
            if let Some(last) = files.last()
                && base != last + file_size
            {
                return Err(OpenError::MissingFile {
                    dir: path.parent().unwrap_or(path).to_owned(),
                    missing: PhysicalOffset(last + file_size),
                    next: PhysicalOffset(base),
                });
            }
            files.push(base);
        }
        if !files.is_empty() {
            // The last run may have been killed right after it made a file.
            folders.sync(&*disk)?;
        }
        let start = files.first().copied().unwrap_or(0);
        Ok(Self {
            disk,
            folders,
            file_size,
            window_size: options.window_bytes.min(file_size.next_multiple_of(1 << 16)),
            write_by: options.write_by,
            hot_windows: options.hot_windows,
            seals: options.append_prop_crc,
            handles,
            files: RwLock::new(files),
            making: Mutex::default(),
            hot: ArcSwap::default(),
            blocks: blocks::Blocks::default(),
            tail: Mutex::new(Tail {
                end: start,
                windows: VecDeque::new(),
                wake_at: u64::MAX,
                closed: false,
                epoch: (options.confirmed.is_none() && !options.is_copy).then(Epoch::default),
            }),
            prepared: Mutex::default(),
            appended: AtomicU64::new(start),
            last_timestamp: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            failure: OnceLock::new(),
            window_wanted: AtomicBool::new(false),
            read_ahead: AtomicBool::new(true),
            files_wanted: Signal::default(),
        })
    }

    /// Recovery has found the log's end: appends go there, readers see what is before.
    pub(crate) fn start_at(&self, end: u64, last_timestamp: u64) {
        let mut tail = lock(&self.tail);
        tail.end = end;
        tail.windows.clear();
        self.last_timestamp.store(last_timestamp, Ordering::Relaxed);
        self.appended.store(end, Ordering::SeqCst);
        self.blocks.clear();
    }

    /// Lets readers see up to `end` while recovery is looking for the true end.
    pub(crate) fn show_until(&self, end: u64) {
        self.appended.store(end, Ordering::SeqCst);
    }

    /// Cuts everything from `end` on: files beyond go, the rest of its file becomes zero and
    /// durable, so that no old record can follow a new one. Returns the bytes that were not zero.
    pub(crate) fn cut(&self, end: u64) -> DiskResult<u64> {
        let mut cut = 0;
        self.blocks.clear();
        while let [.., last] = self.files()[..] {
            // A file that begins at the end is kept: it was made ahead, or tells alone where the
            // log is.
            let is_only = self.files().len() == 1;
            if last < end || (last == end && (is_only || dirty_bytes(&*self.file(last)?, 0)? == 0))
            {
                break;
            }
            cut += dirty_bytes(&*self.file(last)?, 0)?;
            self.handles.forget(FileKey { owner: LOG, base: last });
            self.disk.remove(&self.path(last))?;
            self.disk.sync_dir(self.folders.of(last))?;
            self.folders.forget(last);
            self.files.write().unwrap_or_else(|e| e.into_inner()).pop();
        }
        if let Some(base) = self.file_of(end) {
            let file = self.file(base)?;
            let from = end - base;
            let dirty = dirty_bytes(&*file, from)?;
            if dirty > 0 {
                cut += dirty;
                file.zero(from..self.file_size, Allocation::Reserved)?;
                file.sync()?;
            }
        }
        Ok(cut)
    }

    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    /// The end and the store time of the last record before it, of one moment; runs `with` on the
    /// end while nothing can be appended.
    pub(crate) fn at_rest<T>(&self, with: impl FnOnce(u64) -> T) -> (u64, Millis, T) {
        let tail = lock(&self.tail);
        let result = with(tail.end);
        (tail.end, Millis(self.last_timestamp.load(Ordering::Relaxed) as i64), result)
    }

    /// First offset that is there.
    pub(crate) fn min(&self) -> u64 {
        let files = self.files.read().unwrap_or_else(|e| e.into_inner());
        files.first().copied().unwrap_or_else(|| self.appended())
    }

    pub(crate) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// First offsets of the files.
    pub(crate) fn files(&self) -> Vec<u64> {
        self.files.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// First offset of the file that holds, or will hold, `offset`.
    pub(crate) fn file_of(&self, offset: u64) -> Option<u64> {
        let files = self.files.read().unwrap_or_else(|e| e.into_inner());
        let base = files[..files.partition_point(|base| *base <= offset)].last().copied()?;
        (offset - base < self.file_size).then_some(base)
    }

    pub(crate) fn path(&self, base: u64) -> PathBuf {
        self.folders.of(base).join(format!("{base:020}"))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.folders.first()
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    fn file(&self, base: u64) -> DiskResult<Arc<dyn DiskFile>> {
        self.handles.get(FileKey { owner: LOG, base }, || self.path(base))
    }

    /// Makes `from..to` durable.
    pub(crate) fn sync(&self, from: u64, to: u64) -> DiskResult<()> {
        for base in self.files() {
            if base < to && from < base + self.file_size {
                self.file(base)?.sync()?;
            }
        }
        Ok(())
    }

    /// Writes `from..to` again as it is.
    pub(crate) fn rewrite(&self, from: u64, to: u64) -> DiskResult<()> {
        let mut buffer = Vec::new();
        let mut at = from;
        while at < to {
            let Some(base) = self.file_of(at) else { break };
            let end = to.min(base + self.file_size).min(at + (1 << 20));
            buffer.resize((end - at) as usize, 0);
            let file = self.file(base)?;
            file.read_at(&mut buffer, at - base)?;
            file.write_at(&buffer, at - base)?;
            at = end;
        }
        Ok(())
    }

    /// Makes the file that begins at `base`, unless it is there.
    fn add_file(&self, base: u64) -> DiskResult<()> {
        let _making = lock(&self.making);
        let files = self.files();
        if files.binary_search(&base).is_ok() {
            return Ok(());
        }
        // Asked for before the log was made to begin elsewhere.
        let fits = match files.last() {
            Some(last) => base == last + self.file_size,
            None => base == self.appended(),
        };
        if !fits {
            return Ok(());
        }
        let dir = self.folders.choose(base, self.file_size);
        let path = dir.join(format!("{base:020}"));
        let file = self.disk.create(&path, self.file_size, Allocation::Reserved)?;
        self.disk.sync_dir(dir)?;
        self.handles.insert(FileKey { owner: LOG, base }, file);
        self.files.write().unwrap_or_else(|e| e.into_inner()).push(base);
        Ok(())
    }

    /// Nothing more is stored; the first cause stays.
    pub(crate) fn fail(&self, cause: DiskError) -> Failure {
        let failure = self.failure.get_or_init(|| {
            tracing::error!(%cause, "the store stops taking writes; restart it when the disk is well");
            Failure(Arc::new(cause))
        });
        self.refusing.store(true, Ordering::SeqCst);
        failure.clone()
    }

    /// The next window was asked for and is not prepared yet.
    pub(crate) fn is_window_wanted(&self) -> bool {
        self.window_wanted.load(Ordering::SeqCst)
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.get().cloned()
    }

    /// Whose log it is from now on; returns its end. Who appends has done so before or is refused.
    pub(crate) fn set_copy(&self, is_copy: bool) -> u64 {
        let mut tail = lock(&self.tail);
        tail.epoch = (!is_copy).then(Epoch::default);
        tail.end
    }

    pub(crate) fn is_copy(&self) -> bool {
        lock(&self.tail).epoch.is_none()
    }

    /// No more appends; returns the end.
    pub(crate) fn close(&self) -> u64 {
        let mut tail = lock(&self.tail);
        tail.closed = true;
        self.refusing.store(true, Ordering::SeqCst);
        tail.end
    }
}

impl CommitLog {
    /// Shows `look` the written stretches of the file at `base` from its byte `from` on, piece by
    /// piece with their places in the file, until it says true. Pieces of `step` bytes share
    /// `overlap` bytes, so that nothing shorter is cut in two.
    pub(crate) fn search(
        &self,
        base: u64,
        from: u64,
        step: u64,
        overlap: u64,
        look: &mut dyn FnMut(u64, &[u8]) -> DiskResult<bool>,
    ) -> DiskResult<()> {
        let file = self.file(base)?;
        let mut buffer = Vec::new();
        for stretch in file.data(from)? {
            let mut at = stretch.start;
            while at < stretch.end {
                let to = stretch.end.min(at + step);
                buffer.resize((to - at) as usize, 0);
                file.read_at(&mut buffer, at)?;
                if look(at, &buffer)? {
                    return Ok(());
                }
                at = if to == stretch.end { to } else { to - overlap };
            }
        }
        Ok(())
    }

    /// Writes over what stands at `at`; for recovery, which reads it before anybody else.
    pub(crate) fn overwrite(&self, at: u64, bytes: &[u8]) -> DiskResult<()> {
        let Some(base) = self.file_of(at) else { return Ok(()) };
        let file = self.file(base)?;
        file.write_at(bytes, at - base)?;
        file.sync()
    }
}

/// The offset a file's name says.
pub(crate) fn base_of(name: &str) -> Option<u64> {
    if name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}

/// Zeros are written ahead, many megabytes of them: whole lines are looked at, not bytes.
fn last_not_zero(bytes: &[u8]) -> Option<usize> {
    const LINE: usize = 256;
    let mut end = bytes.len();
    for line in bytes.rchunks(LINE) {
        if line.iter().fold(0, |all, byte| all | byte) != 0 {
            let in_line = line.iter().rposition(|byte| *byte != 0)?;
            return Some(end - line.len() + in_line);
        }
        end -= line.len();
    }
    None
}

/// Bytes from `from` to the last that is not zero.
pub(crate) fn dirty_bytes(file: &dyn DiskFile, from: u64) -> DiskResult<u64> {
    let mut buffer = Vec::new();
    let mut last = from;
    // All stretches first: reading ahead turns holes into cached zeros, which count as data.
    for stretch in file.data(from)?.into_iter().rev() {
        let mut end = stretch.end;
        while end > stretch.start && last == from {
            let start = end.saturating_sub(1 << 20).max(stretch.start);
            buffer.resize((end - start) as usize, 0);
            file.read_at(&mut buffer, start)?;
            if let Some(position) = last_not_zero(&buffer) {
                last = start + position as u64 + 1;
            }
            end = start;
        }
    }
    Ok(last - from)
}

#[cfg(test)]
mod tests {
    use super::last_not_zero;

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_wherever_it_stands() {
        assert_eq!(last_not_zero(&[]), None);
        for len in [1, 255, 256, 257, 1000] {
            assert_eq!(last_not_zero(&vec![0; len]), None, "{len}");
            for at in 0..len {
                let mut bytes = vec![0; len];
                bytes[at] = 1;
                bytes[at / 2] = 0x80;
                assert_eq!(last_not_zero(&bytes), Some(at), "{at} of {len}");
            }
        }
    }
}

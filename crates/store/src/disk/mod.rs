//! The one seam between the store and the outside.
//!
//! [`RealDisk`] is the machine's file system, [`SimDisk`] a seeded one in memory that loses,
//! tears and fails. Everything the store does to a disk goes through the two traits here, so
//! every crash can be tried.

mod real;
mod sim;
mod window;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use real::{RealDisk, physical_memory};
pub use sim::{Crash, Faults, SimDisk};
pub(crate) use window::WindowSlice;
pub use window::{Window, WindowReader, WindowWriter};

use skua_protocol::Millis;

/// A call to the disk that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {call} {}: {cause}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb phrase.
    pub call: &'static str,
    pub path: PathBuf,
    #[source]
    pub cause: Arc<io::Error>,
}

impl DiskError {
    pub fn new(call: &'static str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self { call, path: path.to_owned(), cause: Arc::new(cause.into()) }
    }

    /// The disk, or the quota on it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self.cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Nothing is wrong: the disk had to be waited for, and the caller would not.
    pub fn would_block(&self) -> bool {
        self.cause.kind() == io::ErrorKind::WouldBlock
    }

    pub fn is_not_found(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }
}

pub type DiskResult<T> = Result<T, DiskError>;

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    ForDisk,
    /// It fails with an error that [`would_block`](DiskError::would_block) instead.
    Never,
}

impl dyn DiskFile {
    /// Fills `into` from `offset` on.
    pub(crate) fn read(&self, into: &mut [u8], offset: u64, wait: Wait) -> DiskResult<()> {
        match wait {
            Wait::ForDisk => self.read_at(into, offset),
            Wait::Never => self.read_cached(into, offset),
        }
    }
}

/// How a new file gets its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Every block is reserved now; writing later cannot find the disk full.
    Reserved,
    /// Blocks come when written.
    Sparse,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    /// Bytes; 0 for a directory.
    pub len: u64,
    pub is_dir: bool,
    /// Last change of the content; 0 for a directory.
    pub modified: Millis,
}

/// Space of the file system that holds a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// For this process.
    pub available: u64,
    /// Also what the system keeps for its administrator.
    pub free: u64,
}

impl Space {
    /// Percent in use of what can be used, rounded up as `df` and Java do (Java:
    /// `UtilAll.getDiskPartitionSpaceUsedPercent`).
    pub fn used_percent(&self) -> u8 {
        let used = u128::from(self.total.saturating_sub(self.free));
        let usable = used + u128::from(self.available);
        // 100 at most, since nothing used is more than usable.
        if usable == 0 { 100 } else { (used * 100).div_ceil(usable) as u8 }
    }

    /// Bytes that can be written until more than `percent` are in use.
    pub fn available_until(&self, percent: u8) -> u64 {
        let used = self.total.saturating_sub(self.free);
        let usable = u128::from(used) + u128::from(self.available);
        let limit = usable * u128::from(percent) / 100;
        u64::try_from(limit).unwrap_or(u64::MAX).saturating_sub(used)
    }
}

/// A held lock file; released when dropped.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// A file system, held open.
pub trait FileSystem: Send + Sync + fmt::Debug + 'static {
    /// Whether `dir` is on it, too.
    fn holds(&self, dir: &Path) -> bool;

    /// Makes everything durable that was written, created, renamed or deleted on it.
    fn sync(&self) -> DiskResult<()>;
}

/// Files and directories.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading, where writing may not be allowed.
    fn open_read(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.open(path)
    }

    /// Makes a file of `len` zeros, and the directories above it. Leaves nothing behind when it
    /// fails. The file's existence is durable only after [`sync_dir`](Self::sync_dir).
    fn create(&self, path: &Path, len: u64, how: Allocation) -> DiskResult<Arc<dyn DiskFile>>;

    /// Makes a file that holds `content`, replacing what was there, and syncs it.
    fn write_whole(&self, path: &Path, content: &[u8]) -> DiskResult<()>;
    /// As [`write_whole`](Self::write_whole), readable by the owner alone where the disk has owners.
    fn write_private(&self, path: &Path, content: &[u8]) -> DiskResult<()> {
        self.write_whole(path, content)
    }

    /// The whole content; `None` if there is no such file.
    fn read_whole(&self, path: &Path) -> DiskResult<Option<Vec<u8>>>;

    /// The entries of a directory, by name; none if it does not exist.
    fn list(&self, dir: &Path) -> DiskResult<Vec<Listed>>;

    /// Deletes a file; it is no error if it is not there.
    fn remove(&self, path: &Path) -> DiskResult<()>;

    /// Deletes a directory with all it holds; it is no error if it is not there.
    fn remove_dir(&self, dir: &Path) -> DiskResult<()>;

    /// Gives a file another name, in one step replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;

    /// Makes creations, renames and deletions directly under `dir` durable.
    fn sync_dir(&self, dir: &Path) -> DiskResult<()>;

    fn space(&self, path: &Path) -> DiskResult<Space>;

    /// The file system that holds `dir`, to make all that is on it durable in one call. `None` where
    /// such a call would not tell of every write that failed since it was opened here.
    fn file_system(&self, dir: &Path) -> DiskResult<Option<Arc<dyn FileSystem>>>;

    /// Takes the lock file that keeps a second broker, Java's too, out of the directory
    /// (Java: `DefaultMessageStore`, a write lock by `fcntl` on the file's first byte).
    /// `None` if another holds it.
    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn DiskLock>>>;
}

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug + 'static {
    fn path(&self) -> &Path;

    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the length; new bytes are zero.
    fn set_len(&self, len: u64) -> DiskResult<()>;

    /// Fills `into` from `offset` on; an error if the file ends before.
    fn read_at(&self, into: &mut [u8], offset: u64) -> DiskResult<()>;

    /// As [`read_at`](Self::read_at) if everything is in memory; an error that
    /// [`would_block`](DiskError::would_block) if the disk had to be waited for.
    fn read_cached(&self, into: &mut [u8], offset: u64) -> DiskResult<()>;

    /// A hint that the stretch will be read soon. Does not wait for it.
    fn will_need(&self, range: Range<u64>);

    fn write_at(&self, bytes: &[u8], offset: u64) -> DiskResult<()>;

    /// The stretches from `from` on that may hold something other than zero, without reading them.
    fn data(&self, from: u64) -> DiskResult<Vec<Range<u64>>>;

    /// Makes the stretch zero; its blocks stay, or become, reserved if `how` says so.
    fn zero(&self, range: Range<u64>, how: Allocation) -> DiskResult<()>;

    /// A writable stretch; `published` of its bytes count as written already. The stretch begins
    /// at a multiple of [`WINDOW_ALIGNMENT`]. An error if it meets one that is still in use.
    fn window(&self, range: Range<u64>, published: usize, by: WriteBy) -> DiskResult<WindowWriter>;

    /// Makes all written content durable, through windows too.
    fn sync(&self) -> DiskResult<()>;
}

/// How what is written through a window comes into its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBy {
    /// By its pages: the cheapest, until a flush comes, which makes each page of a mapping
    /// read-only again and interrupts all processors for it.
    Mapping,
    /// By a call for each write; pages are mapped for readers alone. Cheaper where each append is
    /// flushed (`docs/performance.md`).
    Call,
}

/// A window begins at a multiple of this: the largest page size in use.
pub const WINDOW_ALIGNMENT: u64 = 64 * 1024;

/// Windows that are in use on one open file.
#[derive(Debug, Default)]
struct WindowsInUse(std::sync::Mutex<Vec<(Range<u64>, std::sync::Weak<Window>)>>);

impl WindowsInUse {
    /// Runs `make` and keeps what it made, unless a living window meets `range`.
    fn add(
        &self,
        path: &Path,
        range: Range<u64>,
        make: impl FnOnce() -> DiskResult<WindowWriter>,
    ) -> DiskResult<WindowWriter> {
        let mut in_use = lock(&self.0);
        in_use.retain(|(_, window)| window.upgrade().is_some_and(|window| !window.is_retired()));
        if in_use.iter().any(|(other, _)| other.start < range.end && range.start < other.end) {
            let cause = io::Error::other(format!("bytes {range:?} are in use by another window"));
            return Err(DiskError::new("map a window of", path, cause));
        }
        let writer = make()?;
        in_use.push((range, Arc::downgrade(writer.reader())));
        Ok(writer)
    }
}

/// Locks; a holder that panicked has left nothing half done that matters here, since every
/// invariant is restored before a call that could panic.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

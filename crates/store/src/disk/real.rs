//! The machine's file system.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use memmap2::MmapOptions;
use rustix::fs::{FallocateFlags, FlockOperation};
use skua_protocol::Millis;

use super::{
    Allocation, Disk, DiskError, DiskFile, DiskLock, DiskResult, FileSystem, Listed, Space,
    WINDOW_ALIGNMENT, WindowWriter, WindowsInUse, WriteBy, lock,
};

/// Bytes of zeros written at a time where the file system cannot zero or reserve by itself.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Bytes of memory this machine has.
pub fn physical_memory() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
    }
    #[cfg(not(target_os = "linux"))]
    {
        8 << 30
    }
}

/// `mode` is what the process's mask takes its bits from.
fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> DiskResult<()> {
    let write = || -> io::Result<()> {
        if let Some(dir) = path.parent() {
            make_dirs(dir)?;
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|e| DiskError::new("write", path, e))
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        let open = || -> io::Result<RealFile> {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let len = file.metadata()?.len();
            Ok(RealFile::new(file, path, len))
        };
        open().map(|file| Arc::new(file) as _).map_err(|e| DiskError::new("open", path, e))
    }

    fn open_read(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        let open = || -> io::Result<RealFile> {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(RealFile::new(file, path, len))
        };
        open().map(|file| Arc::new(file) as _).map_err(|e| DiskError::new("open", path, e))
    }

    fn create(&self, path: &Path, len: u64, how: Allocation) -> DiskResult<Arc<dyn DiskFile>> {
        let create = || -> io::Result<RealFile> {
            if let Some(dir) = path.parent() {
                match how {
                    Allocation::Reserved => make_dirs(dir)?,
                    // Queues by the thousand: who flushes them syncs their directories.
                    Allocation::Sparse => std::fs::create_dir_all(dir)?,
                }
            }
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            let sized = match how {
                Allocation::Reserved => reserve(&file, len),
                Allocation::Sparse => file.set_len(len),
            };
            if let Err(cause) = sized {
                // Half a file would stop the next start.
                let _ = std::fs::remove_file(path);
                return Err(cause);
            }
            Ok(RealFile::new(file, path, len))
        };
        create().map(|file| Arc::new(file) as _).map_err(|e| DiskError::new("create", path, e))
    }

    fn write_whole(&self, path: &Path, content: &[u8]) -> DiskResult<()> {
        write_with_mode(path, content, 0o666)
    }

    fn write_private(&self, path: &Path, content: &[u8]) -> DiskResult<()> {
        // What a crash left there would keep its own rights.
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, e)),
            _ => write_with_mode(path, content, 0o600),
        }
    }

    fn read_whole(&self, path: &Path) -> DiskResult<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(DiskError::new("read", path, e)),
        }
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<Listed>> {
        let list = || -> io::Result<Vec<Listed>> {
            let mut listed = Vec::new();
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                // Names that are not UTF-8 are none of RocketMQ's.
                let Ok(name) = entry.file_name().into_string() else { continue };
                // Topics by the ten thousand are directories: no look at each.
                if entry.file_type()?.is_dir() {
                    listed.push(Listed { name, len: 0, is_dir: true, modified: Millis(0) });
                    continue;
                }
                let metadata = entry.metadata()?;
                let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH);
                let modified = Millis(since_epoch.map_or(0, |since| since.as_millis() as i64));
                listed.push(Listed { name, len: metadata.len(), is_dir: false, modified });
            }
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(listed)
        };
        match list() {
            Ok(listed) => Ok(listed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(DiskError::new("list", dir, e)),
        }
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        found(std::fs::remove_file(path)).map_err(|e| DiskError::new("delete", path, e))
    }

    fn remove_dir(&self, dir: &Path) -> DiskResult<()> {
        found(std::fs::remove_dir_all(dir)).map_err(|e| DiskError::new("delete", dir, e))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        std::fs::rename(from, to).map_err(|e| DiskError::new("rename", from, e))
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| DiskError::new("sync directory", dir, e))
    }

    fn space(&self, path: &Path) -> DiskResult<Space> {
        let stat =
            rustix::fs::statvfs(path).map_err(|e| DiskError::new("ask the space of", path, e))?;
        Ok(Space {
            total: stat.f_blocks * stat.f_frsize,
            available: stat.f_bavail * stat.f_frsize,
            free: stat.f_bfree * stat.f_frsize,
        })
    }

    fn file_system(&self, dir: &Path) -> DiskResult<Option<Arc<dyn FileSystem>>> {
        let open = || -> io::Result<Option<Arc<dyn FileSystem>>> {
            let file = File::open(dir)?;
            if !tells_of_failed_writes(&file)? {
                return Ok(None);
            }
            let device = file.metadata()?.dev();
            Ok(Some(Arc::new(RealFileSystem { file, device, dir: dir.to_owned() })))
        };
        open().map_err(|e| DiskError::new("open", dir, e))
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn DiskLock>>> {
        let fail = |e: io::Error| DiskError::new("lock", path, e);
        if let Some(dir) = path.parent() {
            make_dirs(dir).map_err(fail)?;
        }
        // A process does not lock itself out by fcntl, and closing any descriptor of the file
        // would free the lock: so a path held here is not even opened again.
        let mut held = lock(&HELD_LOCKS);
        if let Ok(metadata) = std::fs::metadata(path)
            && held.contains(&(metadata.dev(), metadata.ino()))
        {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(fail)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Ok(None),
            Err(e) => return Err(fail(e.into())),
        }
        let metadata = file.metadata().map_err(fail)?;
        if metadata.len() == 0 {
            file.write_all(b"lock").map_err(fail)?;
        }
        let id = (metadata.dev(), metadata.ino());
        held.insert(id);
        Ok(Some(Box::new(RealLock { id, _file: file })))
    }
}

#[derive(Debug)]
struct RealFileSystem {
    file: File,
    device: u64,
    dir: PathBuf,
}

impl FileSystem for RealFileSystem {
    fn holds(&self, dir: &Path) -> bool {
        std::fs::metadata(dir).is_ok_and(|metadata| metadata.dev() == self.device)
    }

    fn sync(&self) -> DiskResult<()> {
        #[cfg(target_os = "linux")]
        let synced = rustix::fs::syncfs(&self.file).map_err(io::Error::from);
        #[cfg(not(target_os = "linux"))]
        let synced = self.file.sync_all();
        synced.map_err(|e| DiskError::new("sync the file system of", &self.dir, e))
    }
}

/// Whether `syncfs` fails if a write to the file's file system has failed since the file was
/// opened: from Linux 5.8 on, on file systems that note it themselves.
#[cfg(target_os = "linux")]
fn tells_of_failed_writes(file: &File) -> io::Result<bool> {
    use rustix::fs::FsWord;
    const EXT4: FsWord = 0xEF53;
    const XFS: FsWord = 0x5846_5342;
    const BTRFS: FsWord = 0x9123_683E;
    const TMPFS: FsWord = 0x0102_1994;
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(version >= (5, 8) && [EXT4, XFS, BTRFS, TMPFS].contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn tells_of_failed_writes(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Device and inode of the lock files this process holds.
static HELD_LOCKS: std::sync::LazyLock<Mutex<HashSet<(u64, u64)>>> =
    std::sync::LazyLock::new(Mutex::default);

#[derive(Debug)]
struct RealLock {
    id: (u64, u64),
    _file: File,
}

impl DiskLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        lock(&HELD_LOCKS).remove(&self.id);
    }
}

/// Makes `dir` and what is missing above it, durably.
fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().unwrap_or(Path::new("."));
    make_dirs(above)?;
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    File::open(above)?.sync_all()
}

fn found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives `file`, which is empty, `len` bytes with their blocks.
fn reserve(file: &File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_zeros(file, 0..len),
        Err(e) => Err(e.into()),
    }
}

fn write_zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let step = (range.end - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..step as usize], at)?;
        at += step;
    }
    Ok(())
}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
    len: AtomicU64,
    windows: WindowsInUse,
}

impl RealFile {
    fn new(file: File, path: &Path, len: u64) -> Self {
        Self { file, path: path.to_owned(), len: len.into(), windows: WindowsInUse::default() }
    }

    fn error(&self, call: &'static str, cause: impl Into<io::Error>) -> DiskError {
        DiskError::new(call, &self.path, cause)
    }
}

impl DiskFile for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.file.set_len(len).map_err(|e| self.error("set the length of", e))?;
        self.len.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        self.file.read_exact_at(into, offset).map_err(|e| self.error("read", e))
    }

    fn read_cached(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::{Errno, ReadWriteFlags, preadv2};
            let mut filled = 0;
            while filled < into.len() {
                let rest = &mut [io::IoSliceMut::new(&mut into[filled..])];
                match preadv2(&self.file, rest, offset + filled as u64, ReadWriteFlags::NOWAIT) {
                    Ok(0) => return Err(self.error("read", io::ErrorKind::UnexpectedEof)),
                    Ok(n) => filled += n,
                    Err(Errno::INTR) => {}
                    // Some file systems cannot tell: they count as never cached.
                    Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => {
                        return Err(self.error("read", io::ErrorKind::WouldBlock));
                    }
                    Err(e) => return Err(self.error("read", e)),
                }
            }
            Ok(())
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (into, offset);
            Err(self.error("read", io::ErrorKind::WouldBlock))
        }
    }

    fn will_need(&self, range: Range<u64>) {
        #[cfg(target_os = "linux")]
        {
            let len = std::num::NonZeroU64::new(range.end.saturating_sub(range.start));
            // A hint: what fails here fails again, and is told, when it is read.
            let _ = rustix::fs::fadvise(&self.file, range.start, len, rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = range;
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> DiskResult<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| self.error("write", e))
    }

    fn data(&self, from: u64) -> DiskResult<Vec<Range<u64>>> {
        let len = self.len();
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{SeekFrom, seek};
            let mut stretches = Vec::new();
            let mut at = from;
            loop {
                match seek(&self.file, SeekFrom::Data(at)) {
                    Ok(data) if data < len => {
                        let hole = seek(&self.file, SeekFrom::Hole(data)).unwrap_or(len).min(len);
                        stretches.push(data..hole);
                        at = hole;
                    }
                    Ok(_) | Err(rustix::io::Errno::NXIO) => return Ok(stretches),
                    // A file system that does not know holes.
                    Err(_) => break,
                }
            }
        }
        let rest = from..len;
        Ok((!rest.is_empty()).then_some(rest).into_iter().collect())
    }

    fn zero(&self, range: Range<u64>, how: Allocation) -> DiskResult<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mode = match how {
            Allocation::Reserved => FallocateFlags::ZERO_RANGE,
            Allocation::Sparse => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        };
        let len = range.end - range.start;
        if rustix::fs::fallocate(&self.file, mode, range.start, len).is_ok() {
            return Ok(());
        }
        write_zeros(&self.file, range).map_err(|e| self.error("zero", e))
    }

    fn window(&self, range: Range<u64>, published: usize, by: WriteBy) -> DiskResult<WindowWriter> {
        debug_assert_eq!(range.start % WINDOW_ALIGNMENT, 0, "windows begin at a page");
        self.windows.add(&self.path, range.clone(), || {
            if range.end > self.len() {
                let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(self.error("map a window of", cause));
            }
            let len = usize::try_from(range.end - range.start)
                .map_err(|e| self.error("map a window of", io::Error::other(e)))?;
            let mut place = MmapOptions::new();
            place.offset(range.start).len(len);
            let map = match by {
                WriteBy::Mapping => place.map_raw(&self.file),
                WriteBy::Call => place.map_raw_read_only(&self.file),
            };
            let map = map.map_err(|e| self.error("map a window of", e))?;
            // A fault makes one page, not the megabytes of zeros that reading ahead would. A hint.
            #[cfg(unix)]
            let _ = map.advise(memmap2::Advice::Random);
            if by == WriteBy::Mapping {
                return Ok(WindowWriter::mapped(map, published));
            }
            let file = self.file.try_clone().map_err(|e| self.error("open", e))?;
            let path = self.path.clone();
            let write = move |at: usize, bytes: &[u8]| {
                let written = file.write_all_at(bytes, range.start + at as u64);
                written.map_err(|e| DiskError::new("write", &path, e))
            };
            Ok(WindowWriter::beside_map(map, published, Box::new(write)))
        })
    }

    fn sync(&self) -> DiskResult<()> {
        self.file.sync_data().map_err(|e| self.error("sync", e))
    }
}

//! A disk in memory that crashes, loses, tears and fails by seed.
//!
//! What a program sees is the page cache; beside it stands what would survive a power cut. A cut
//! keeps any subset of the unsynced sectors of each file, each in any state it has been in, and a
//! prefix of the unsynced creations, renames and deletions. A crash of the process alone keeps
//! everything written up to the call that it hit.

mod file;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use skua_protocol::Millis;

use file::SimFile;
use state::{Inode, NameChange, State};

use super::{
    Allocation, Disk, DiskError, DiskFile, DiskLock, DiskResult, FileSystem, Listed, Space,
    WindowsInUse, lock,
};

/// How the machine went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is gone, the page cache is not.
    Process,
    /// Only what was synced is sure to be there.
    Power,
}

/// Calls that shall fail.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The machine goes down at this many changing calls from now, in the midst of the last.
    pub crash_in: Option<u64>,
    /// The write that many writes from now fails, and all after it.
    pub write_fails_in: Option<u64>,
    /// The sync that many syncs from now fails once; what it should have saved is never saved.
    pub sync_fails_in: Option<u64>,
    /// The disk is full: no file can be made, and files without reserved blocks take a part of a
    /// write at best, half of the time.
    pub no_space: bool,
    /// Nothing can be deleted.
    pub remove_fails: bool,
    /// Bytes that the disk says are available, of 2^40; as it is if not given.
    pub available: Option<u64>,
}

/// See the module's words.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct SimFileSystem {
    disk: SimDisk,
    boot: u64,
    dir: PathBuf,
}

impl FileSystem for SimFileSystem {
    fn holds(&self, _: &Path) -> bool {
        true
    }

    fn sync(&self) -> DiskResult<()> {
        let mut state = lock(&self.disk.state);
        let synced = state.alive(self.boot).and_then(|()| state.sync_all());
        synced.map_err(|e| DiskError::new("sync the file system of", &self.dir, e))
    }
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    pub fn set_faults(&self, faults: Faults) {
        lock(&self.state).faults = faults;
    }

    /// The time that what is written from now on counts as changed at.
    pub fn set_time(&self, now: Millis) {
        lock(&self.state).now = now;
    }

    /// Whether every read that does not wait for the disk is told that it would have to.
    pub fn set_cold(&self, cold: bool) {
        lock(&self.state).cold = cold;
    }

    pub fn is_down(&self) -> bool {
        lock(&self.state).down
    }

    /// The machine, or the process, is gone and comes back. Files open until now are dead, locks
    /// are free, faults are over.
    pub fn reboot(&self, crash: Crash) {
        lock(&self.state).reboot(crash);
    }

    /// Changes bytes of a file behind the store's back, as a bad disk does.
    pub fn damage(&self, path: &Path, offset: u64, bytes: &[u8]) {
        let mut state = lock(&self.state);
        let inode = state.names[path];
        state.inodes[inode].write(bytes, offset);
        state.sync(inode).expect("no fault is set on a disk that is being damaged");
    }

    fn run<T>(
        &self,
        call: &'static str,
        path: &Path,
        run: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> DiskResult<T> {
        let mut state = lock(&self.state);
        let boot = state.boot;
        state.alive(boot).and_then(|()| run(&mut state)).map_err(|e| DiskError::new(call, path, e))
    }

    fn file(&self, state: &State, path: &Path, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.clone(),
            boot: state.boot,
            path: path.to_owned(),
            inode,
            windows: WindowsInUse::default(),
        })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.run("open", path, |state| match state.names.get(path) {
            Some(inode) => Ok(self.file(state, path, *inode)),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn create(&self, path: &Path, len: u64, how: Allocation) -> DiskResult<Arc<dyn DiskFile>> {
        self.run("create", path, |state| {
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if state.faults.no_space {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let inode = state.inodes.len();
            let sparse = how == Allocation::Sparse;
            state.inodes.push(Inode { modified: state.now, sparse, ..Inode::default() });
            state.change_names(NameChange::Create(path.to_owned(), inode));
            // A crash between making the file and giving it its length.
            if state.crashes_now() {
                return Err(io::Error::other("machine is down"));
            }
            let zeros = vec![0; len as usize];
            state.inodes[inode].content.clone_from(&zeros);
            state.inodes[inode].durable = zeros;
            Ok(self.file(state, path, inode))
        })
    }

    fn write_whole(&self, path: &Path, content: &[u8]) -> DiskResult<()> {
        self.run("write", path, |state| {
            let inode = match state.names.get(path) {
                Some(inode) => {
                    let inode = *inode;
                    state.inodes[inode].content.clear();
                    state.inodes[inode].durable.clear();
                    inode
                }
                None => {
                    let inode = state.inodes.len();
                    state.inodes.push(Inode { modified: state.now, ..Inode::default() });
                    state.change_names(NameChange::Create(path.to_owned(), inode));
                    inode
                }
            };
            state.write(inode, content, 0)?;
            state.sync(inode)
        })
    }

    fn read_whole(&self, path: &Path) -> DiskResult<Option<Vec<u8>>> {
        self.run("read", path, |state| {
            Ok(state.names.get(path).map(|inode| state.inodes[*inode].content.clone()))
        })
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<Listed>> {
        self.run("list", dir, |state| {
            let mut listed = BTreeMap::new();
            for (path, inode) in &state.names {
                let Ok(below) = path.strip_prefix(dir) else { continue };
                let mut parts = below.components();
                let Some(name) = parts.next() else { continue };
                let Some(name) = name.as_os_str().to_str() else { continue };
                let is_dir = parts.next().is_some();
                let len = if is_dir { 0 } else { state.inodes[*inode].content.len() as u64 };
                let modified = if is_dir { Millis(0) } else { state.inodes[*inode].modified };
                let entry = Listed { name: name.to_owned(), len, is_dir, modified };
                listed.insert(name.to_owned(), entry);
            }
            Ok(listed.into_values().collect())
        })
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.run("delete", path, |state| {
            if state.faults.remove_fails {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            if state.crashes_now() {
                return Err(io::Error::other("machine is down"));
            }
            if state.names.contains_key(path) {
                state.change_names(NameChange::Remove(path.to_owned()));
            }
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &Path) -> DiskResult<()> {
        self.run("delete", dir, |state| {
            let under: Vec<PathBuf> =
                state.names.keys().filter(|path| path.starts_with(dir)).cloned().collect();
            for path in under {
                if state.crashes_now() {
                    return Err(io::Error::other("machine is down"));
                }
                state.change_names(NameChange::Remove(path));
            }
            state.dirs.retain(|other| !other.starts_with(dir));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.run("rename", from, |state| {
            if state.crashes_now() {
                return Err(io::Error::other("machine is down"));
            }
            if !state.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.run("sync directory", dir, |state| {
            if state.crashes_now() {
                return Err(io::Error::other("machine is down"));
            }
            if !state.dirs.contains(dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let journal = std::mem::take(&mut state.journal);
            for change in journal {
                let went_with_its_dir = matches!(&change,
                    NameChange::Create(path, _) | NameChange::Remove(path)
                    if is_gone_below(dir, path, &state.names));
                if change.is_under(dir) || went_with_its_dir {
                    change.apply(&mut state.durable_names);
                } else {
                    state.journal.push(change);
                }
            }
            Ok(())
        })
    }

    fn space(&self, path: &Path) -> DiskResult<Space> {
        self.run("ask the space of", path, |state| {
            let total = 1 << 40;
            let used = state.names.values().map(|inode| state.inodes[*inode].content.len() as u64);
            let available = if state.faults.no_space { 0 } else { total - used.sum::<u64>() };
            let available = state.faults.available.unwrap_or(available).min(total);
            Ok(Space { total, available, free: available })
        })
    }

    fn file_system(&self, dir: &Path) -> DiskResult<Option<Arc<dyn FileSystem>>> {
        self.run("open", dir, |state| {
            let (disk, dir) = (self.clone(), dir.to_owned());
            let opened = SimFileSystem { disk, boot: state.boot, dir };
            Ok(Some(Arc::new(opened) as Arc<dyn FileSystem>))
        })
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn DiskLock>>> {
        self.run("lock", path, |state| {
            if !state.locks.insert(path.to_owned()) {
                return Ok(None);
            }
            state.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
            let lock = SimLock { disk: self.clone(), boot: state.boot, path: path.to_owned() };
            Ok(Some(Box::new(lock) as Box<dyn DiskLock>))
        })
    }
}

/// Whether the directory directly under `dir` that had `path` is gone: then that is what is
/// written in `dir`.
fn is_gone_below(dir: &Path, path: &Path, names: &BTreeMap<PathBuf, usize>) -> bool {
    let Ok(below) = path.strip_prefix(dir) else { return false };
    let Some(first) = below.components().next() else { return false };
    let child = dir.join(first);
    !names.keys().any(|name| name.starts_with(&child))
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    boot: u64,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = lock(&self.disk.state);
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;

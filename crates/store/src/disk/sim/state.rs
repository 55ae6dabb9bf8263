//! What the simulated disk holds: names and sectors, as a program sees them and as a power cut
//! leaves them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use skua_protocol::Millis;

use super::{Crash, Faults};

/// Sectors reach the disk whole or not at all.
const SECTOR: u64 = 512;

#[derive(Debug)]
pub(super) struct State {
    random: u64,
    pub faults: Faults,
    /// The machine is down: every call fails until the next boot.
    pub down: bool,
    /// Counts boots; files opened before the last one are dead.
    pub boot: u64,
    pub names: BTreeMap<PathBuf, usize>,
    pub durable_names: BTreeMap<PathBuf, usize>,
    /// Directories are there once something was below them, until they are deleted.
    pub dirs: BTreeSet<PathBuf>,
    pub journal: Vec<NameChange>,
    pub inodes: Vec<Inode>,
    pub now: Millis,
    pub locks: HashSet<PathBuf>,
    /// Nothing is in memory for a read that does not wait.
    pub cold: bool,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create(PathBuf, usize),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    pub(super) fn is_under(&self, dir: &Path) -> bool {
        match self {
            Self::Create(path, _) | Self::Remove(path) => path.parent() == Some(dir),
            Self::Rename(from, to) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }

    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, inode) => {
                names.insert(path, inode);
            }
            Self::Remove(path) => {
                names.remove(&path);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub content: Vec<u8>,
    pub durable: Vec<u8>,
    pub unsynced: BTreeSet<u64>,
    pub modified: Millis,
    /// Its blocks come when written.
    pub sparse: bool,
}

impl Inode {
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset as usize + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[offset as usize..end].copy_from_slice(bytes);
        self.touch(offset..end as u64);
    }

    fn touch(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.unsynced.extend(range.start / SECTOR..=(range.end - 1) / SECTOR);
        }
    }

    /// The sector's present content reaches the disk.
    fn save(&mut self, sector: u64) {
        let start = (sector * SECTOR) as usize;
        let end = (start + SECTOR as usize).min(self.content.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.content[start..end]);
        }
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            faults: Faults::default(),
            down: false,
            boot: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            dirs: BTreeSet::new(),
            journal: Vec::new(),
            inodes: Vec::new(),
            now: Millis(0),
            locks: HashSet::new(),
            cold: false,
        }
    }

    /// Xorshift64*: small, seeded, good enough to choose faults.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.next_random() >> 11) % bound }
    }

    pub(super) fn alive(&self, boot: u64) -> io::Result<()> {
        if self.down || self.boot != boot {
            Err(io::Error::other("machine is down"))
        } else {
            Ok(())
        }
    }

    /// Counts a changing call; true if the machine goes down in its midst.
    pub(super) fn crashes_now(&mut self) -> bool {
        match &mut self.faults.crash_in {
            Some(0) => {
                self.down = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    pub(super) fn write(&mut self, inode: usize, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(left) = &mut self.faults.write_fails_in {
            if *left == 0 {
                return Err(io::Error::other("medium error"));
            }
            *left -= 1;
        }
        if self.faults.no_space && self.inodes[inode].sparse && self.below(2) == 0 {
            let taken = self.below(bytes.len() as u64 + 1) as usize;
            self.store(inode, &bytes[..taken], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.store(inode, bytes, offset)
    }

    /// Puts bytes into the page cache, all of them or, in a crash, a prefix.
    pub(super) fn store(&mut self, inode: usize, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.crashes_now() {
            let kept = self.below(bytes.len() as u64 + 1) as usize;
            self.inodes[inode].write(&bytes[..kept], offset);
            self.inodes[inode].modified = self.now;
            return Err(io::Error::other("machine is down"));
        }
        self.inodes[inode].write(bytes, offset);
        self.inodes[inode].modified = self.now;
        // Now and then the kernel writes a sector back on its own, as it is just then.
        if self.below(16) == 0 {
            let nth = self.below(self.inodes[inode].unsynced.len() as u64) as usize;
            if let Some(sector) = self.inodes[inode].unsynced.iter().nth(nth).copied() {
                self.inodes[inode].save(sector);
            }
        }
        Ok(())
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        if let NameChange::Create(path, _) | NameChange::Rename(_, path) = &change {
            self.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        }
        change.clone().apply(&mut self.names);
        self.journal.push(change);
    }

    pub(super) fn sync(&mut self, inode: usize) -> io::Result<()> {
        if self.crashes_now() {
            let sectors: Vec<u64> = self.inodes[inode].unsynced.iter().copied().collect();
            for sector in sectors {
                if self.below(2) == 0 {
                    self.inodes[inode].save(sector);
                }
            }
            return Err(io::Error::other("machine is down"));
        }
        match &mut self.faults.sync_fails_in {
            Some(0) => {
                self.faults.sync_fails_in = None;
                // As Linux does: the pages count as clean, and nobody hears of it again.
                self.inodes[inode].unsynced.clear();
                return Err(io::Error::other("medium error"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let file = &mut self.inodes[inode];
        file.durable.resize(file.content.len(), 0);
        for sector in std::mem::take(&mut file.unsynced) {
            file.save(sector);
        }
        Ok(())
    }

    /// Everything becomes durable; in a crash any sectors and a prefix of the changes of names, as
    /// a failure leaves it, too.
    pub(super) fn sync_all(&mut self) -> io::Result<()> {
        let crashes = self.crashes_now();
        let fails = match &mut self.faults.sync_fails_in {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let is_whole = !crashes && !fails;
        let kept = match is_whole {
            true => self.journal.len(),
            false => self.below(self.journal.len() as u64 + 1) as usize,
        };
        for change in self.journal.drain(..kept) {
            change.apply(&mut self.durable_names);
        }
        for inode in 0..self.inodes.len() {
            let file = &mut self.inodes[inode];
            if is_whole {
                file.durable.resize(file.content.len(), 0);
            }
            let sectors: Vec<u64> = file.unsynced.iter().copied().collect();
            for sector in sectors {
                if is_whole || self.below(2) == 0 {
                    self.inodes[inode].save(sector);
                }
            }
            if !crashes {
                // Also what could not be written counts as clean.
                self.inodes[inode].unsynced.clear();
            }
        }
        if crashes {
            return Err(io::Error::other("machine is down"));
        }
        if fails {
            self.faults.sync_fails_in = None;
            return Err(io::Error::other("medium error"));
        }
        Ok(())
    }

    /// See [`SimDisk::reboot`](super::SimDisk::reboot).
    pub(super) fn reboot(&mut self, crash: Crash) {
        self.boot += 1;
        self.down = false;
        self.faults = Faults::default();
        self.locks.clear();
        if crash == Crash::Process {
            return;
        }
        let kept = self.below(self.journal.len() as u64 + 1) as usize;
        let journal = std::mem::take(&mut self.journal);
        for change in journal.into_iter().take(kept) {
            change.apply(&mut self.durable_names);
        }
        // Some cuts keep most sectors, some next to none.
        let keep_of_16 = self.below(17);
        for inode in 0..self.inodes.len() {
            for sector in std::mem::take(&mut self.inodes[inode].unsynced) {
                if self.below(16) < keep_of_16 {
                    self.inodes[inode].save(sector);
                }
            }
            let file = &mut self.inodes[inode];
            file.content = file.durable.clone();
        }
        self.names = self.durable_names.clone();
        // With a file whose deletion was forgotten its folder is back.
        let dirs = self.names.keys().flat_map(|path| path.ancestors().skip(1));
        self.dirs.extend(dirs.map(Path::to_owned));
    }
}

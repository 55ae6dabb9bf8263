//! Looking at a store's files without opening the store: takes no lock, writes nothing, may be used
//! on a directory that a broker is working on.
//!
//! [`Directory`] lists and walks; [`verify`](Directory::verify) checks every record, queue entry
//! and index entry against the others. The formats are those of the store's own rooms.

mod dledger;
mod index;
mod log;
mod queue;
mod read_only;
mod verify;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dledger::{DLedger, DLedgerEnd, DLedgerEntry, DLedgerError, Positions};
pub use index::{IndexFile, IndexHeader};
pub use log::{LogFile, LogReader, Piece};
pub use queue::{QueueEntry, QueueFiles};
pub use verify::{Finding, Severity, Verified};

use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::disk::{Disk, DiskFile, DiskResult};
use crate::options::StoreOptions;
use read_only::ReadOnly;

/// Bytes read at a time.
const STEP: usize = 1 << 20;

/// A store's directory, looked at from outside.
#[derive(Debug)]
pub struct Directory {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    log: Vec<LogFile>,
}

/// What the checkpoint file says; times are milliseconds since the epoch, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointTimes {
    pub log: u64,
    pub queues: u64,
    pub index: u64,
    /// Skua's own mark: queue entries of all records before are durable.
    pub dispatched: Option<u64>,
}

/// A file of `config/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    pub path: PathBuf,
    pub name: String,
    pub len: u64,
}

impl Directory {
    /// Lists the log's files. `disk` is used for reading only.
    pub fn open(options: StoreOptions, disk: Arc<dyn Disk>) -> DiskResult<Self> {
        let disk: Arc<dyn Disk> = Arc::new(ReadOnly(disk));
        let log = log::files(&*disk, &options)?;
        Ok(Self { disk, options, log })
    }

    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// There is something of a store here.
    pub fn exists(&self) -> DiskResult<bool> {
        Ok(!self.log.is_empty() || !self.disk.list(&self.options.root)?.is_empty())
    }

    /// The last run did not end cleanly, or a broker is running.
    pub fn is_in_use_or_killed(&self) -> DiskResult<bool> {
        Ok(self.disk.read_whole(&self.options.root.join("abort"))?.is_some())
    }

    pub fn checkpoint(&self) -> DiskResult<CheckpointTimes> {
        let read = self.read_checkpoint()?;
        Ok(CheckpointTimes {
            log: read.physic_timestamp,
            queues: read.logics_timestamp,
            index: read.index_timestamp,
            dispatched: read.own.map(|own| own.dispatched),
        })
    }

    fn read_checkpoint(&self) -> DiskResult<Checkpoint> {
        CheckpointFile::new(&self.options.root).read(&*self.disk)
    }

    /// The JSON tables.
    pub fn tables(&self) -> DiskResult<Vec<TableFile>> {
        let dir = self.options.root.join("config");
        let listed = self.disk.list(&dir)?.into_iter().filter(|entry| !entry.is_dir);
        Ok(listed
            .map(|entry| TableFile {
                path: dir.join(&entry.name),
                name: entry.name,
                len: entry.len,
            })
            .collect())
    }

    /// The content of a table; `None` if there is no such file.
    pub fn table(&self, name: &str) -> DiskResult<Option<Vec<u8>>> {
        self.disk.read_whole(&self.options.root.join("config").join(name))
    }
}

/// Reads one file forward, a large piece at a time.
#[derive(Debug)]
struct Pieces {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    held: Range<u64>,
}

impl Pieces {
    fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, buffer: Vec::new(), held: 0..0 }
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    /// The bytes from `at` on: at least `least` of them unless the file ends before.
    fn bytes(&mut self, at: u64, least: usize) -> DiskResult<&[u8]> {
        let end = self.len();
        let wanted = end.min(at.saturating_add(least as u64));
        if at < self.held.start || wanted > self.held.end || at > self.held.end {
            let to = end.min(at.saturating_add(least.max(STEP) as u64)).max(at);
            self.buffer.resize((to - at) as usize, 0);
            self.held = 0..0;
            if to > at {
                self.file.read_at(&mut self.buffer, at)?;
            }
            self.held = at..to;
        }
        Ok(&self.buffer[(at - self.held.start) as usize..])
    }
}

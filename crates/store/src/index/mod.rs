//! The index files: messages by their keys.
//!
//! Indexing follows the log by itself, behind dispatch and on a thread of its own: consumers never
//! wait for it, and however far it falls behind, the log remembers what is to be done. Dispatch
//! hands it the keys it comes across (`handed.rs`), which saves reading the log again. Entries
//! gather in memory and go to their file tens of thousands at a time (`batch.rs`); searches look
//! at both (`query.rs`). A file's header is written with the checkpoint only, after everything it
//! counts is durable, so that a start knows what to trust (`load.rs`).
//!
//! One search table takes `maxHashSlotNum` slots and `maxIndexNum` entries; a full file is
//! followed by the next. Nothing is mapped.

mod batch;
mod follow;
mod handed;
pub(crate) mod layout;
mod load;
mod query;
mod run;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use skua_protocol::Millis;

use batch::Batch;
pub(crate) use follow::key_hashes;
pub(crate) use handed::Keys;
use layout::{Entry, Header, Layout, entry_hash, hash_on, name_at};
pub use query::{Found, KeyKind, KeyQuery};

use crate::checkpoint::{Checkpoint, IndexMark};
use crate::disk::{Allocation, Disk, DiskFile, DiskResult, lock};
use crate::error::OpenError;
use crate::handles::{FileKey, Handles};
use crate::options::{IndexOptions, StoreOptions};
use crate::recovery::LastRun;

/// Owner of the index files among the open files: no queue's number.
const OWNER: u64 = u64::MAX;
/// Entries that gather before they are written: 2 MB, and large enough that the walk over the
/// slot table costs little for each.
const BATCH_ENTRIES: usize = 64 * 1024;

/// All index files of a store.
#[derive(Debug)]
pub(crate) struct Index {
    disk: Arc<dyn Disk>,
    handles: Arc<Handles>,
    dir: PathBuf,
    layout: Layout,
    /// One round at a time. Taken before `state`.
    following: Mutex<Following>,
    state: Mutex<State>,
    /// From dispatch; its lock is held for a moment only.
    handed: Mutex<Keys>,
}

/// What a round uses.
#[derive(Debug, Default)]
struct Following {
    /// For what is read from the log.
    buffer: Vec<u8>,
    /// What was handed over, while it is worked on.
    keys: Keys,
}

#[derive(Debug)]
struct State {
    /// From the oldest to the newest; only the newest grows.
    files: Vec<File>,
    /// Entries of the newest that are not in it yet.
    batch: Batch,
    /// Everything before is indexed.
    position: u64,
    /// Keys of the record at `position` that are indexed already: the next file could not be made.
    keys_done: usize,
    /// The record at `position` is indexed, though the next may not be.
    skips_first: bool,
    /// Names up to this are in use.
    last_name: u64,
    /// A file was made since the folder was last synced.
    has_new_file: bool,
}

/// One index file.
#[derive(Clone, Debug)]
struct File {
    name: u64,
    /// With the entries that wait.
    header: Header,
    /// As it is in the file.
    saved: Header,
    /// The slots must be built from the entries before they are used.
    needs_slots: bool,
}

/// What a checkpoint makes durable of the index.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Names and headers of changed files, from the oldest to the newest.
    changed: Vec<(u64, Header)>,
    has_new_file: bool,
    mark: IndexMark,
    /// Store time of the last message in the last full file.
    full_until: Option<u64>,
}

impl Index {
    /// Reads the headers of the files that are there. `log` is what the log holds.
    pub(crate) fn open(
        options: &StoreOptions,
        index: IndexOptions,
        disk: Arc<dyn Disk>,
        handles: Arc<Handles>,
        checkpoint: &Checkpoint,
        last_run: LastRun,
        log: Range<u64>,
    ) -> Result<Self, OpenError> {
        index.check()?;
        let dir = options.root.join("index");
        let layout = Layout { slots: index.hash_slots, entries: index.entries };
        let loaded = load::load(&*disk, &dir, layout, checkpoint, last_run, log)?;
        let state = State {
            files: loaded.files,
            batch: Batch::default(),
            position: loaded.position,
            keys_done: 0,
            skips_first: loaded.skips_first,
            last_name: loaded.last_name,
            has_new_file: false,
        };
        let (following, state, handed) = (Mutex::default(), Mutex::new(state), Mutex::default());
        Ok(Self { disk, handles, dir, layout, following, state, handed })
    }

    /// Everything in the log before is in the index.
    pub(crate) fn position(&self) -> u64 {
        lock(&self.state).position
    }

    fn file(&self, name: u64) -> DiskResult<Arc<dyn DiskFile>> {
        self.handles.get(FileKey { owner: OWNER, base: name }, || path_of(&self.dir, name))
    }

    /// After a crash: makes the newest file's slots right, which takes one look at all its entries.
    fn make_ready(&self, state: &mut State) -> DiskResult<()> {
        if let Some(newest) = state.files.last_mut()
            && newest.needs_slots
        {
            batch::rebuild_slots(&*self.file(newest.name)?, self.layout, &mut newest.header)?;
            newest.needs_slots = false;
        }
        Ok(())
    }

    /// Adds one entry. An error leaves everything as it was.
    fn put(
        &self,
        state: &mut State,
        hash: u32,
        offset: u64,
        time: u64,
        now: Millis,
    ) -> DiskResult<()> {
        if state.files.last().is_none_or(|newest| newest.header.count >= self.layout.entries) {
            self.add_file(state, now)?;
        } else if state.batch.entries.len() >= BATCH_ENTRIES || state.batch.is_linked() {
            // One that could not be written is linked already: what came to it now would not be.
            self.write_batch(state)?;
        }
        if let Some(newest) = state.files.last_mut() {
            let seconds = newest.header.seconds(time);
            state.batch.entries.push(Entry { hash, offset, seconds, older: 0 });
            newest.header.note(offset, time);
        }
        Ok(())
    }

    fn add_file(&self, state: &mut State, now: Millis) -> DiskResult<()> {
        self.write_batch(state)?;
        let newest = state.files.last();
        let name = name_at(now).max(state.last_name + 1);
        let header = Header::after(newest.map(|newest| &newest.header));
        let size = self.layout.file_size();
        let file = self.disk.create(&path_of(&self.dir, name), size, Allocation::Sparse)?;
        self.handles.insert(FileKey { owner: OWNER, base: name }, file);
        state.last_name = name;
        state.has_new_file = true;
        state.files.push(File { name, header, saved: Header::default(), needs_slots: false });
        Ok(())
    }

    /// Writes what waits to its file.
    fn write_batch(&self, state: &mut State) -> DiskResult<()> {
        match state.files.last_mut() {
            Some(newest) if !state.batch.entries.is_empty() => {
                let file = self.file(newest.name)?;
                state.batch.write(&*file, self.layout, &mut newest.header)
            }
            _ => Ok(()),
        }
    }

    /// Deletes files whose messages are all before `min`, save the newest
    /// (Java: `IndexService.deleteExpiredFile`).
    fn delete_expired(&self, state: &mut State, min: u64) -> DiskResult<()> {
        while state.files.len() > 1 && state.files[0].header.last_offset < min {
            let name = state.files[0].name;
            self.handles.forget(FileKey { owner: OWNER, base: name });
            self.disk.remove(&path_of(&self.dir, name))?;
            state.files.remove(0);
        }
        Ok(())
    }

    /// First step of a checkpoint: what is indexed now goes to the files. The log must be made
    /// durable after this, and before [`save`](Self::save).
    pub(crate) fn prepare(&self) -> DiskResult<Snapshot> {
        let mut state = lock(&self.state);
        self.make_ready(&mut state)?;
        self.write_batch(&mut state)?;
        let changed = state.files.iter().filter(|file| file.header != file.saved);
        let full = state.files.iter().rfind(|file| file.header.count >= self.layout.entries);
        Ok(Snapshot {
            changed: changed.map(|file| (file.name, file.header)).collect(),
            has_new_file: state.has_new_file,
            mark: IndexMark {
                position: state.position,
                header: state
                    .files
                    .last()
                    .map_or(IndexMark::NO_FILE, |newest| newest.header.fingerprint()),
            },
            full_until: full.map(|file| file.header.last_time),
        })
    }

    /// Second step: makes it durable, contents first, then headers from the newest file on, so
    /// that a full file never stands without what follows it. Returns what the checkpoint notes.
    pub(crate) fn save(&self, snapshot: Snapshot) -> DiskResult<(IndexMark, Option<u64>)> {
        if snapshot.has_new_file {
            self.disk.sync_dir(&self.dir)?;
            if let Some(root) = self.dir.parent() {
                self.disk.sync_dir(root)?;
            }
        }
        for (name, _) in &snapshot.changed {
            self.file(*name)?.sync()?;
        }
        for (name, header) in snapshot.changed.iter().rev() {
            let file = self.file(*name)?;
            file.write_at(&header.encode(), 0)?;
            file.sync()?;
        }
        let mut state = lock(&self.state);
        for (name, header) in &snapshot.changed {
            if let Some(file) = state.files.iter_mut().find(|file| file.name == *name) {
                file.saved = *header;
            }
        }
        let newest = snapshot.changed.last().map_or(0, |(name, _)| *name);
        if state.files.last().is_none_or(|file| file.name <= newest) {
            state.has_new_file = false;
        }
        Ok((snapshot.mark, snapshot.full_until))
    }
}

fn path_of(dir: &Path, name: u64) -> PathBuf {
    dir.join(format!("{name:017}"))
}

/// A key's hash in entries: of `topic#key`, or `topic#T#tag` (Java: `IndexService.buildKey`).
fn key_hash(topic: &str, kind: KeyKind, key: &str) -> u32 {
    let start = hash_on(hash_on(0, topic), "#");
    entry_hash(match kind {
        KeyKind::Key => hash_on(start, key),
        KeyKind::Tag => hash_on(hash_on(start, "T#"), key),
    })
}

#[cfg(test)]
mod tests;

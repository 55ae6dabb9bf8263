//! The index files: their headers, and a walk over their entries.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{Directory, Pieces};
use crate::disk::DiskResult;
use crate::index::layout::{ENTRY_LEN, Entry, HEADER_LEN, Header, Layout, name_of};

/// One index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    pub path: PathBuf,
    pub len: u64,
    /// `None` if the file is too short for one.
    pub header: Option<IndexHeader>,
    /// The file's length is that of the configured `maxHashSlotNum` and `maxIndexNum`.
    pub fits: bool,
}

/// What an index file says of itself. Times are store times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexHeader {
    pub first_time: u64,
    pub last_time: u64,
    pub first_offset: u64,
    pub last_offset: u64,
    pub used_slots: u32,
    /// Entries, the unused first among them.
    pub count: u32,
}

impl From<Header> for IndexHeader {
    fn from(header: Header) -> Self {
        let Header { first_time, last_time, first_offset, last_offset, used_slots, count } = header;
        Self { first_time, last_time, first_offset, last_offset, used_slots, count }
    }
}

impl Directory {
    fn index_layout(&self) -> Layout {
        let options = self.options.index.unwrap_or_default();
        Layout { slots: options.hash_slots, entries: options.entries }
    }

    /// The index files from the oldest to the newest.
    pub fn index_files(&self) -> DiskResult<Vec<IndexFile>> {
        let dir = self.options.root.join("index");
        let fitting = self.index_layout().file_size();
        let mut files = Vec::new();
        for entry in self.disk.list(&dir)?.into_iter().filter(|entry| !entry.is_dir) {
            if name_of(&entry.name).is_none() {
                continue;
            }
            let path = dir.join(&entry.name);
            let mut bytes = [0; HEADER_LEN];
            let header = if entry.len >= HEADER_LEN as u64 {
                self.disk.open_read(&path)?.read_at(&mut bytes, 0)?;
                Some(Header::decode(&bytes).into())
            } else {
                None
            };
            files.push(IndexFile { path, len: entry.len, header, fits: entry.len == fitting });
        }
        Ok(files)
    }

    /// Shows number, position in the file, hash and physical offset of each counted entry, and
    /// whether its slot leads to older entries only.
    pub(super) fn walk_index(
        &self,
        file: &IndexFile,
        visit: &mut dyn FnMut(u64, &Entry, bool) -> ControlFlow<()>,
    ) -> DiskResult<()> {
        let layout = self.index_layout();
        let count = file.header.map_or(0, |header| header.count).min(layout.entries);
        let mut pieces = Pieces::new(self.disk.open_read(&file.path)?);
        for number in 1..count {
            let at = layout.entry_at(number);
            let Some(bytes) = pieces.bytes(at, ENTRY_LEN)?.first_chunk() else { return Ok(()) };
            let entry = Entry::decode(bytes);
            if visit(at, &entry, entry.older < number).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

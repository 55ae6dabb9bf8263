//! `raft/conf`: the entries that change the members.
//!
//! Records one behind the other: `| 8 index | 8 term | change | 4 CRC |`, a change being
//! `| 1 kind | 8 id | 2 length | address |`. A later record of an index takes the place of an
//! earlier one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skua_store::Disk;
use skua_store::disk::{Allocation, DiskFile, DiskResult};

use crate::members::Change;

const FILE_LEN: u64 = 64 << 10;
const HEAD: usize = 16;
/// Kind, id and length of the address.
const FIXED: usize = 11;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Changes {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    end: u64,
    by_index: BTreeMap<u64, (u64, Vec<u8>)>,
}

impl Changes {
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> DiskResult<Self> {
        let dir = root.join("raft");
        let mut changes = Self { disk, dir, file: None, end: 0, by_index: BTreeMap::new() };
        let path = changes.path();
        let Some(bytes) = changes.disk.read_whole(&path)? else { return Ok(changes) };
        let mut at = 0;
        while let Some((index, term, change, next)) = record(&bytes, at) {
            changes.by_index.insert(index, (term, change.to_vec()));
            at = next;
        }
        changes.end = at as u64;
        if bytes.len() as u64 == FILE_LEN {
            changes.file = Some(changes.disk.open(&path)?);
        }
        Ok(changes)
    }

    fn path(&self) -> PathBuf {
        self.dir.join("conf")
    }

    /// The change of the entry at `index`, encoded.
    pub fn get(&self, index: u64, term: u64) -> Option<&[u8]> {
        self.by_index.get(&index).filter(|(of, _)| *of == term).map(|(_, change)| &change[..])
    }

    /// Adds a change durably; entries before `first` are not needed any more.
    pub fn put(&mut self, index: u64, term: u64, change: &Change, first: u64) -> DiskResult<()> {
        let bytes = change.encode();
        let record = encode(index, term, &bytes);
        let fits = self.end + record.len() as u64 <= FILE_LEN;
        self.by_index.insert(index, (term, bytes));
        match &self.file {
            Some(file) if fits => {
                file.write_at(&record, self.end)?;
                file.sync()?;
                self.end += record.len() as u64;
                Ok(())
            }
            _ => self.rewrite(first),
        }
    }

    /// Writes the file anew, with what is needed still; durably, whatever became of the old one.
    pub fn rewrite(&mut self, first: u64) -> DiskResult<()> {
        self.by_index = self.by_index.split_off(&first);
        if self.by_index.is_empty() && self.file.is_none() {
            return Ok(());
        }
        let mut content = Vec::new();
        for (index, (term, change)) in &self.by_index {
            content.extend(encode(*index, *term, change));
        }
        let (path, new) = (self.path(), self.dir.join("conf.new"));
        self.disk.remove(&new)?;
        let file =
            self.disk.create(&new, FILE_LEN.max(content.len() as u64), Allocation::Reserved)?;
        file.write_at(&content, 0)?;
        file.sync()?;
        self.disk.rename(&new, &path)?;
        self.disk.sync_dir(&self.dir)?;
        self.file = Some(self.disk.open(&path)?);
        self.end = content.len() as u64;
        Ok(())
    }
}

fn encode(index: u64, term: u64, change: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + change.len() + 4);
    out.extend(index.to_be_bytes());
    out.extend(term.to_be_bytes());
    out.extend(change);
    let crc = crc32fast::hash(&out);
    out.extend(crc.to_be_bytes());
    out
}

/// The record at `at`: index, term, change, and where the next begins.
fn record(bytes: &[u8], at: usize) -> Option<(u64, u64, &[u8], usize)> {
    let rest = bytes.get(at..)?;
    let fixed = rest.get(..HEAD + FIXED)?;
    let len = u16::from_be_bytes([fixed[HEAD + 9], fixed[HEAD + 10]]);
    let end = HEAD + FIXED + usize::from(len);
    let content = rest.get(..end)?;
    let crc = rest.get(end..end + 4)?;
    if crc != crc32fast::hash(content).to_be_bytes() {
        return None;
    }
    let index = u64::from_be_bytes(content[..8].try_into().ok()?);
    let term = u64::from_be_bytes(content[8..16].try_into().ok()?);
    Change::decode(&content[HEAD..]).ok()?;
    Some((index, term, &content[HEAD..], at + end + 4))
}

//! The log of a member of RocketMQ's own DLedger, which keeps each record in an entry of its own
//! files (`dledger-n0/data`).

mod entry;
mod positions;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skua_protocol::record::{Peek, Record, next};

pub use entry::HEAD_LEN;
pub use positions::Positions;

use super::{Directory, Pieces};
use crate::commit_log::{base_of, dirty_bytes};
use crate::consume_queue::is_storable_topic;
use crate::disk::{Disk, DiskError, DiskFile, DiskResult};
use entry::{Head, Place, look};

const PREFIX: &str = "dledger-";
/// An entry announced as longer is none.
const ENTRY_LEN_MAX: usize = 256 << 20;

/// Why a member's log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DLedgerError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{} has no folder dledger-ID", .0.display())]
    NoMember(PathBuf),
    #[error("{} holds several members: {}; say which", root.display(), ids.join(", "))]
    WhichMember { root: PathBuf, ids: Vec<String> },
    #[error("{}: {reason}", path.display())]
    Files { path: PathBuf, reason: String },
    #[error("{} is damaged at byte {position}: {reason}", path.display())]
    Damaged { path: PathBuf, position: u64, reason: String },
}

/// A file of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DataFile {
    path: PathBuf,
    base: u64,
}

/// A member's log. Reads only.
#[derive(Debug)]
pub struct DLedger {
    disk: Arc<dyn Disk>,
    id: String,
    files: Vec<DataFile>,
    file_size: u64,
    committed: Option<u64>,
    held: Option<(u64, Pieces)>,
}

/// An entry and its record.
#[derive(Clone, Debug)]
pub struct DLedgerEntry<'a> {
    pub index: u64,
    pub term: i64,
    /// Of the record, as those who knew the member's log named it.
    pub physical_offset: u64,
    /// None in an entry that holds no message.
    pub record: Option<Record<'a>>,
}

/// Where the log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DLedgerEnd {
    /// Index and term of the last entry.
    pub last: Option<(u64, i64)>,
    /// Behind it.
    pub position: u64,
    /// What follows, no whole entry.
    pub torn: u64,
}

impl Directory {
    /// The log of the member `id`, or of the only one there is; its files are in `data`, unless that
    /// is empty.
    pub fn dledger(&self, id: Option<&str>, data: &[PathBuf]) -> Result<DLedger, DLedgerError> {
        let root = self.root();
        let listed = self.disk.list(root)?.into_iter().filter(|entry| entry.is_dir);
        let ids: Vec<_> =
            listed.filter_map(|entry| Some(entry.name.strip_prefix(PREFIX)?.to_owned())).collect();
        let id = match (id, &ids[..]) {
            (Some(id), _) if ids.iter().any(|known| known == id) => id.to_owned(),
            (None, [id]) => id.clone(),
            (None, [_, ..]) => {
                return Err(DLedgerError::WhichMember { root: root.to_owned(), ids });
            }
            _ => return Err(DLedgerError::NoMember(root.to_owned())),
        };
        let home = root.join(format!("{PREFIX}{id}"));
        let standard = [home.join("data")];
        let dirs = if data.is_empty() { &standard[..] } else { data };
        let (files, file_size) = data_files(&*self.disk, dirs)?;
        // Java's member takes its checkpoint away before it renames the next into its place, by
        // two threads at its end: the copy of the one before may be all that there is.
        let noted = ["checkpoint", "checkpoint.bak"].map(|name| home.join(name));
        let committed = match committed(&*self.disk, &noted[0])? {
            None => committed(&*self.disk, &noted[1])?,
            noted => noted,
        };
        Ok(DLedger { disk: Arc::clone(&self.disk), id, files, file_size, committed, held: None })
    }
}

fn data_files(disk: &dyn Disk, dirs: &[PathBuf]) -> Result<(Vec<DataFile>, u64), DLedgerError> {
    let mut files = Vec::new();
    let mut file_size = 0;
    for dir in dirs {
        for listed in disk.list(dir)?.into_iter().filter(|listed| !listed.is_dir) {
            let path = dir.join(&listed.name);
            let bad =
                |path, reason: &str| Err(DLedgerError::Files { path, reason: reason.to_owned() });
            let Some(base) = base_of(&listed.name) else {
                return bad(path, "not named by its first offset");
            };
            if file_size == 0 {
                file_size = listed.len;
            }
            if listed.len != file_size || !base.is_multiple_of(file_size.max(1)) {
                return bad(path, "its length or name is not as that of the others");
            }
            // Nothing overflows below.
            if i64::try_from(base).is_err() || file_size > 1 << 40 {
                return bad(path, "no store is that long");
            }
            files.push(DataFile { path, base });
        }
    }
    files.sort_by_key(|file| file.base);
    for pair in files.windows(2) {
        let wanted = pair[0].base + file_size;
        if pair[1].base != wanted {
            let reason = format!("the file before it is not there: {wanted:020} is missing");
            return Err(DLedgerError::Files { path: pair[1].path.clone(), reason });
        }
    }
    Ok((files, file_size))
}

/// The index up to which the member knew that the group agreed, as it last noted.
fn committed(disk: &dyn Disk, path: &Path) -> Result<Option<u64>, DLedgerError> {
    let Some(bytes) = disk.read_whole(path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "committedIndex").then(|| value.trim().to_owned())
    });
    let Some(value) = value else { return Ok(None) };
    let number: i64 = value.parse().map_err(|_| DLedgerError::Files {
        path: path.to_owned(),
        reason: format!("committedIndex is {value}"),
    })?;
    // -1: there is no entry.
    Ok(u64::try_from(number).ok())
}

impl DLedger {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Bytes of a file; 0 if there is none.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// First offset of the first file, if there is one.
    pub fn start(&self) -> Option<u64> {
        self.files.first().map(|file| file.base)
    }

    /// Up to which index the member had noted that the group agrees.
    pub fn committed(&self) -> Option<u64> {
        self.committed
    }

    /// Shows every entry. An end without a whole entry behind is the log's end, unless the member
    /// had noted that there is more.
    pub fn walk<E: From<DLedgerError>>(
        &self,
        visit: &mut dyn FnMut(&DLedgerEntry<'_>) -> Result<(), E>,
    ) -> Result<DLedgerEnd, E> {
        let mut end = DLedgerEnd::default();
        for (nth, data) in self.files.iter().enumerate() {
            let mut pieces = Pieces::new(self.open(data)?);
            let mut at = if nth == 0 { self.first_in(&*pieces.file)? } else { 0 };
            end.position = data.base + at;
            while at < self.file_size {
                let room = self.file_size - at;
                let position = data.base + at;
                let found = look(pieces.bytes(at, HEAD_LEN).map_err(disk)?, position, room);
                let reason = match found {
                    Place::Blank => break,
                    Place::Entry(head) => {
                        match self.check(
                            &head,
                            end.last,
                            pieces.bytes(at, head.size).map_err(disk)?,
                        ) {
                            Ok(record) => {
                                let physical_offset = position + HEAD_LEN as u64;
                                let (index, term) = (head.index, head.term);
                                visit(&DLedgerEntry { index, term, physical_offset, record })?;
                                end.last = Some((index, term));
                                at += head.size as u64;
                                end.position = data.base + at;
                                continue;
                            }
                            Err(reason) => reason,
                        }
                    }
                    Place::Nothing => "nothing stands there".to_owned(),
                    Place::Wrong(reason) => reason,
                };
                end.torn = self.torn(&mut pieces, nth, at, end.last, reason)?;
                return Ok(end);
            }
            end.position = data.base + self.file_size;
        }
        let noted = self.committed.unwrap_or(0);
        if self.committed.is_some() && end.last.is_none_or(|(index, _)| index < noted) {
            let path = self.files.last().map(|file| file.path.clone()).unwrap_or_default();
            let reason = format!("the log ends before entry {noted}, which was agreed on");
            return Err(DLedgerError::Damaged { path, position: self.file_size, reason }.into());
        }
        Ok(end)
    }

    /// The index of the entry whose record is at this offset, if one is.
    pub fn index_at(&mut self, physical_offset: u64) -> DiskResult<Option<u64>> {
        let Some(position) = physical_offset.checked_sub(HEAD_LEN as u64) else { return Ok(None) };
        let Some(file) = self
            .files
            .iter()
            .find(|file| (file.base..file.base + self.file_size).contains(&position))
        else {
            return Ok(None);
        };
        let at = position - file.base;
        if self.held.as_ref().is_none_or(|(base, _)| *base != file.base) {
            self.held = Some((file.base, Pieces::new(self.disk.open_read(&file.path)?)));
        }
        let Some((_, pieces)) = &mut self.held else { return Ok(None) };
        let bytes = pieces.bytes(at, HEAD_LEN)?;
        Ok(match look(bytes, position, self.file_size - at) {
            Place::Entry(head) => Some(head.index),
            _ => None,
        })
    }

    fn open(&self, data: &DataFile) -> Result<Arc<dyn DiskFile>, DLedgerError> {
        let file = self.disk.open_read(&data.path)?;
        if file.len() < self.file_size {
            let cause = io::Error::other("it has become shorter");
            return Err(DiskError::new("read", &data.path, cause).into());
        }
        Ok(file)
    }

    /// Where the first file's first entry begins: a member that joined late leaves out what was
    /// before.
    fn first_in(&self, file: &dyn DiskFile) -> Result<u64, DLedgerError> {
        let mut bytes = [0; 8];
        if self.file_size < 8 {
            return Ok(0);
        }
        file.read_at(&mut bytes, 0)?;
        if bytes != [0; 8] {
            return Ok(0);
        }
        let mut buffer = Vec::new();
        for stretch in file.data(0)? {
            let mut from = stretch.start;
            while from < stretch.end.min(self.file_size) {
                let to = stretch.end.min(self.file_size).min(from + super::STEP as u64);
                buffer.resize((to - from) as usize, 0);
                file.read_at(&mut buffer, from)?;
                if let Some(place) = buffer.iter().position(|byte| *byte != 0) {
                    // The magic's last byte.
                    return Ok((from + place as u64).saturating_sub(3));
                }
                from = to;
            }
        }
        Ok(0)
    }

    /// The record of an entry that follows `last`.
    fn check<'a>(
        &self,
        head: &Head,
        last: Option<(u64, i64)>,
        bytes: &'a [u8],
    ) -> Result<Option<Record<'a>>, String> {
        if let Some((index, term)) = last {
            if Some(head.index) != index.checked_add(1) {
                return Err(format!("entry {} follows entry {index}", head.index));
            }
            if head.term < term {
                return Err(format!("an entry of term {} follows one of {term}", head.term));
            }
        }
        if head.index >= i64::MAX as u64 || head.size > ENTRY_LEN_MAX {
            return Err(format!("an entry of index {} and {} bytes", head.index, head.size));
        }
        let body = bytes.get(HEAD_LEN..head.size).ok_or("the file ends in it")?;
        if body.is_empty() {
            return Ok(None);
        }
        match next(body) {
            Ok(Peek::Message { size }) if size == body.len() => {}
            Ok(_) => return Err(format!("entry {} does not hold a record", head.index)),
            Err(why) => return Err(format!("entry {}: {why}", head.index)),
        }
        let record =
            Record::parse_with(body, true).map_err(|why| format!("entry {}: {why}", head.index))?;
        if !is_storable_topic(record.topic()) {
            return Err(format!("entry {}: its topic cannot be stored", head.index));
        }
        Ok(Some(record))
    }

    /// Bytes that are not zero behind the log's end at `at` of a file; damage if it cannot end
    /// there.
    fn torn(
        &self,
        pieces: &mut Pieces,
        nth: usize,
        at: u64,
        last: Option<(u64, i64)>,
        reason: String,
    ) -> Result<u64, DLedgerError> {
        let data = &self.files[nth];
        let damaged =
            |reason| DLedgerError::Damaged { path: data.path.clone(), position: at, reason };
        let noted = self.committed.filter(|noted| last.is_none_or(|(index, _)| index < *noted));
        if let Some(noted) = noted {
            return Err(damaged(format!("{reason}, but entries up to {noted} were agreed on")));
        }
        for later in &self.files[nth + 1..] {
            if dirty_bytes(&*self.open(later)?, 0)? > 0 {
                return Err(damaged(format!("{reason}, but {} follows", later.path.display())));
            }
        }
        let torn = dirty_bytes(&*pieces.file, at)?;
        if torn > 0
            && let Some(next) = self.next_whole(pieces, data.base, at)?
        {
            return Err(damaged(format!("{reason}, but a whole entry follows at byte {next}")));
        }
        Ok(torn)
    }

    /// Where the next whole entry of the file begins.
    fn next_whole(
        &self,
        pieces: &mut Pieces,
        base: u64,
        at: u64,
    ) -> Result<Option<u64>, DLedgerError> {
        const MAGIC: [u8; 4] = [0, 0, 0, 1];
        for stretch in pieces.file.data(at)? {
            let mut from = stretch.start.max(at + 1);
            while from < stretch.end {
                let bytes = pieces.bytes(from, HEAD_LEN)?;
                let step = bytes.len().saturating_sub(MAGIC.len() - 1).max(1) as u64;
                let places: Vec<_> = bytes
                    .windows(MAGIC.len())
                    .enumerate()
                    .filter(|(_, window)| *window == MAGIC)
                    .map(|(place, _)| from + place as u64)
                    .collect();
                for place in places {
                    let room = self.file_size.saturating_sub(place);
                    let bytes = pieces.bytes(place, HEAD_LEN)?;
                    let Place::Entry(head) = look(bytes, base + place, room) else { continue };
                    if self.check(&head, None, pieces.bytes(place, head.size)?).is_ok() {
                        return Ok(Some(place));
                    }
                }
                from += step;
            }
        }
        Ok(None)
    }
}

fn disk(cause: DiskError) -> DLedgerError {
    cause.into()
}

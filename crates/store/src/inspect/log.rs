//! The commit log: its files, and a walk over all that stands in them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use skua_protocol::Millis;
use skua_protocol::record::{MAGIC_END_OF_FILE, MAGIC_V1, Peek, Record, RecordError, next};

use super::{Directory, Pieces};
use crate::commit_log::{Folders, base_of, dirty_bytes};
use crate::disk::{Disk, DiskResult};
use crate::options::StoreOptions;

/// A record announced as longer is none.
const RECORD_LEN_MAX: usize = 256 << 20;
/// Size and magic.
const HEAD_LEN: usize = 8;

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    pub path: PathBuf,
    /// The offset its name says; `None` if its name says none.
    pub base: Option<u64>,
    pub len: u64,
}

/// What stands at a place of the log.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A whole record in its place, its body as its checksum says.
    Message(Record<'a>),
    /// The file has no more records.
    EndOfFile,
    /// No record; the next whole one of this file begins at `next`, or the file ends there.
    Damage { reason: String, next: u64 },
    /// The end of the log; `bytes` that are not zero follow, but no whole record.
    End { bytes: u64, reason: String },
}

pub(super) fn files(disk: &dyn Disk, options: &StoreOptions) -> DiskResult<Vec<LogFile>> {
    let listed = Folders::new(options).list(disk, base_of)?;
    let mut files: Vec<_> = listed
        .into_iter()
        .map(|(path, entry)| LogFile { path, base: base_of(&entry.name), len: entry.len })
        .collect();
    files.sort_by_key(|file| file.base);
    Ok(files)
}

impl Directory {
    /// The log's files by their first offset.
    pub fn log_files(&self) -> &[LogFile] {
        &self.log
    }

    /// First offset of the log; 0 if there is none.
    pub fn log_start(&self) -> u64 {
        self.log.iter().find_map(|file| file.base).unwrap_or(0)
    }

    /// The file that holds `offset`.
    pub fn log_file_of(&self, offset: u64) -> Option<&LogFile> {
        self.log
            .iter()
            .find(|file| file.base.is_some_and(|base| base <= offset && offset - base < file.len))
    }

    /// Shows everything from `from` on, where a record must begin, to `visit`.
    pub fn walk_log(
        &self,
        from: u64,
        visit: &mut dyn FnMut(u64, Piece<'_>) -> ControlFlow<()>,
    ) -> DiskResult<()> {
        let files: Vec<_> = self.log.iter().filter_map(|file| Some((file.base?, file))).collect();
        for (nth, (base, file)) in files.iter().enumerate() {
            if base + file.len <= from {
                continue;
            }
            let mut pieces = Pieces::new(self.disk.open_read(&file.path)?);
            // A live broker may have made it longer than listed; not shorter.
            let start = from.saturating_sub(*base);
            let more = || self.has_records(files.get(nth + 1..).unwrap_or_default());
            if walk_file(&mut pieces, *base, start, &more, visit)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether one of the files begins with something.
    fn has_records(&self, files: &[(u64, &LogFile)]) -> DiskResult<bool> {
        for (_, file) in files {
            if dirty_bytes(&*self.disk.open_read(&file.path)?, 0)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where a walk may begin that shall meet every record stored at `time` or later: the start of
    /// the last file whose first record is older.
    pub fn log_start_before(&self, time: Millis) -> DiskResult<u64> {
        let mut start = self.log_start();
        let mut reader = LogReader::new(self);
        for base in self.log.iter().filter_map(|file| file.base) {
            match reader.record_at(base, |record| record.store_timestamp())? {
                Some(first) if first < time => start = base,
                _ => break,
            }
        }
        Ok(start)
    }

    /// The record at `offset`, handed to `with`; `None` if no whole one begins there.
    pub fn record_at<T>(
        &self,
        offset: u64,
        with: impl FnOnce(&Record<'_>) -> T,
    ) -> DiskResult<Option<T>> {
        LogReader::new(self).record_at(offset, with)
    }
}

/// Reads records here and there; quick if they ascend.
pub struct LogReader<'a> {
    directory: &'a Directory,
    held: Option<(u64, Pieces)>,
}

impl<'a> LogReader<'a> {
    pub fn new(directory: &'a Directory) -> Self {
        Self { directory, held: None }
    }

    /// The record at `offset`, handed to `with`; `None` if no whole one begins there.
    pub fn record_at<T>(
        &mut self,
        offset: u64,
        with: impl FnOnce(&Record<'_>) -> T,
    ) -> DiskResult<Option<T>> {
        let Some(file) = self.directory.log_file_of(offset) else { return Ok(None) };
        let base = file.base.unwrap_or(0);
        if self.held.as_ref().is_none_or(|(held, _)| *held != base) {
            self.held = Some((base, Pieces::new(self.directory.disk.open_read(&file.path)?)));
        }
        match &mut self.held {
            Some((_, pieces)) => record_in(pieces, base, offset - base, with),
            None => Ok(None),
        }
    }
}

/// The record at `at` of a file that begins at `base`.
fn record_in<T>(
    pieces: &mut Pieces,
    base: u64,
    at: u64,
    with: impl FnOnce(&Record<'_>) -> T,
) -> DiskResult<Option<T>> {
    let size = match next(pieces.bytes(at, HEAD_LEN)?) {
        Ok(Peek::Message { size }) | Err(RecordError::Truncated { size, .. })
            if size <= RECORD_LEN_MAX =>
        {
            size
        }
        _ => return Ok(None),
    };
    let bytes = pieces.bytes(at, size)?;
    Ok(whole(bytes, base + at).ok().map(|record| with(&record)))
}

/// The record that `bytes` begins with, if it belongs at `offset`.
fn whole(bytes: &[u8], offset: u64) -> Result<Record<'_>, String> {
    let record = Record::parse_with(bytes, true).map_err(|why| why.to_string())?;
    if record.physical_offset() as u64 != offset {
        return Err(format!(
            "a record of physical offset {} stands here",
            record.physical_offset()
        ));
    }
    Ok(record)
}

fn walk_file(
    pieces: &mut Pieces,
    base: u64,
    start: u64,
    more: &dyn Fn() -> DiskResult<bool>,
    visit: &mut dyn FnMut(u64, Piece<'_>) -> ControlFlow<()>,
) -> DiskResult<ControlFlow<()>> {
    let len = pieces.len();
    let mut at = start;
    while at + HEAD_LEN as u64 <= len {
        let bytes = pieces.bytes(at, HEAD_LEN)?;
        let reason = match next(bytes) {
            Ok(Peek::EndOfFile { .. }) => return Ok(visit(base + at, Piece::EndOfFile)),
            Err(RecordError::Truncated { .. })
                if bytes[4..8] == MAGIC_END_OF_FILE.to_be_bytes() =>
            {
                return Ok(visit(base + at, Piece::EndOfFile));
            }
            Ok(Peek::Empty) => "nothing stands there".to_owned(),
            Ok(Peek::Message { size }) | Err(RecordError::Truncated { size, .. })
                if size <= RECORD_LEN_MAX && at + size as u64 <= len =>
            {
                let bytes = pieces.bytes(at, size)?;
                match whole(bytes, base + at) {
                    Ok(record) => {
                        if visit(base + at, Piece::Message(record)).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                        at += size as u64;
                        continue;
                    }
                    Err(reason) => reason,
                }
            }
            Ok(Peek::Message { size }) => format!("a record of {size} bytes does not fit the file"),
            Err(why) => why.to_string(),
        };
        let found = next_whole(pieces, base, at)?;
        if found.is_none() && !more()? {
            let bytes = dirty_bytes(&*pieces.file, at)?;
            let _ = visit(base + at, Piece::End { bytes, reason });
            return Ok(ControlFlow::Break(()));
        }
        let next = found.unwrap_or(len);
        if visit(base + at, Piece::Damage { reason, next: base + next }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        at = next;
    }
    Ok(ControlFlow::Continue(()))
}

/// Where the next whole record behind `at` begins in the file.
fn next_whole(pieces: &mut Pieces, base: u64, at: u64) -> DiskResult<Option<u64>> {
    const MAGIC_AT: u64 = 4;
    let magic = &MAGIC_V1.to_be_bytes()[..3];
    for stretch in pieces.file.data(at)? {
        let mut from = stretch.start.max(at);
        while from < stretch.end {
            let bytes = pieces.bytes(from, HEAD_LEN)?;
            let places: Vec<_> = bytes
                .windows(magic.len())
                .enumerate()
                .filter(|(_, window)| *window == magic)
                .map(|(place, _)| from + place as u64)
                .collect();
            let step = (bytes.len().saturating_sub(magic.len() - 1)).max(1) as u64;
            for place in places {
                let Some(start) = place.checked_sub(MAGIC_AT).filter(|start| *start > at) else {
                    continue;
                };
                if record_in(pieces, base, start, |_| ())?.is_some() {
                    return Ok(Some(start));
                }
            }
            from += step;
        }
    }
    Ok(None)
}

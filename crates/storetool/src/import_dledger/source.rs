//! The directory of a Java DLedger broker: a plain commit log, if it had one before, then entries.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skua_protocol::record::Record;
use skua_store::disk::{DiskLock, DiskResult};
use skua_store::inspect::{DLedger, DLedgerEntry, DLedgerError, Directory, Piece, Positions};
use skua_store::{Disk, DiskError, RealDisk, ReplicateError, StoreOptions};

use super::Args;
use super::layout::Layout;
use crate::Failure;

/// Why an import ended.
#[derive(Debug)]
pub enum Stop {
    Source(DLedgerError),
    Other(Failure),
}

impl From<DLedgerError> for Stop {
    fn from(cause: DLedgerError) -> Self {
        Self::Source(cause)
    }
}

impl From<Failure> for Stop {
    fn from(cause: Failure) -> Self {
        Self::Other(cause)
    }
}

impl From<DiskError> for Stop {
    fn from(cause: DiskError) -> Self {
        Self::Other(cause.into())
    }
}

impl From<ReplicateError> for Stop {
    fn from(cause: ReplicateError) -> Self {
        refuse(cause.to_string())
    }
}

impl From<std::io::Error> for Stop {
    fn from(cause: std::io::Error) -> Self {
        Self::Other(cause.into())
    }
}

pub fn refuse(why: String) -> Stop {
    Stop::Other(Failure::Usage(why))
}

/// A message on its way.
pub enum Found<'a> {
    /// Of the plain log; stays where it is.
    Plain(Record<'a>),
    /// The plain log's file ends here.
    EndOfFile(u64),
    Entry(&'a DLedgerEntry<'a>, Record<'a>),
}

pub struct Source {
    pub directory: Directory,
    pub dledger: DLedger,
    committed_only: bool,
    _lock: Option<Box<dyn DiskLock>>,
}

/// What is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Bytes of a file of the new log.
    pub file_size: u64,
    /// The new log begins and ends here.
    pub start: u64,
    pub end: u64,
    /// The first offset that is DLedger's.
    pub divided: u64,
    pub plain_messages: u64,
    pub messages: u64,
    /// First entry, and last with its term.
    pub first: Option<u64>,
    pub last: Option<(u64, i64)>,
    /// Entries behind the one that the member knew to be agreed on; those that are not taken.
    pub uncommitted: u64,
    pub left_out: u64,
    /// Bytes of no whole entry at the end.
    pub torn: u64,
}

impl Source {
    pub fn open(args: &Args) -> Result<Self, Stop> {
        let root = &args.from;
        let mut options = StoreOptions::new(root);
        let mut folders = args.from_log.iter();
        if let Some(first) = folders.next() {
            options.commit_log.clone_from(first);
            options.commit_log_more = folders.cloned().collect();
        }
        let directory = Directory::open(options, Arc::new(RealDisk))?;
        let dledger = directory.dledger(args.member.as_deref(), &args.data)?;
        let lock = lock(root)?;
        Ok(Self { directory, dledger, committed_only: args.committed_only, _lock: lock })
    }

    /// Reads everything and changes nothing. `wanted` are the bytes of a file that the new store
    /// is configured to have.
    pub fn survey(&self, wanted: Option<u64>) -> Result<Survey, Stop> {
        let plain_size = self.plain_file_size()?;
        let mut plain_end = None;
        let mut survey = Survey::default();
        self.walk_plain(&mut |found| {
            match found {
                Found::Plain(record) => {
                    survey.plain_messages += 1;
                    plain_end = Some(record.physical_offset() as u64 + record.size() as u64);
                }
                Found::EndOfFile(at) => plain_end = Some((at / plain_size + 1) * plain_size),
                Found::Entry(..) => {}
            }
            Ok(())
        })?;
        let has_plain = survey.plain_messages > 0;
        let own = if has_plain { plain_size } else { self.dledger.file_size() };
        survey.file_size = wanted.unwrap_or(own);
        if own == 0 {
            let root = self.directory.root().display();
            return Err(refuse(format!("there is no log in {root}")));
        }
        if has_plain && survey.file_size != own {
            return Err(refuse(format!(
                "mappedFileSizeCommitLog is {}; the files that were there before DLedger have {own} \
                 bytes and stay as they are",
                survey.file_size
            )));
        }
        if survey.file_size < 1024 || survey.file_size > 1 << 40 {
            return Err(refuse(format!("files of {} bytes hold no log", survey.file_size)));
        }
        let begins = self.dledger.start();
        survey.divided = begins.unwrap_or(u64::MAX);
        survey.start = match (has_plain, begins) {
            (true, _) => self.directory.log_start(),
            (false, begins) => begins.unwrap_or(0).next_multiple_of(survey.file_size),
        };
        let mut layout = Layout { file_size: survey.file_size, at: survey.start };
        if let Some(end) = plain_end.filter(|_| has_plain) {
            // Where DLedger begins the file before is full, whatever a crash has left of its end.
            let full = end.next_multiple_of(own);
            if let Some(begins) = begins.filter(|begins| *begins != full) {
                return Err(refuse(format!(
                    "the plain log ends at {end}, but DLedger's begins at {begins}: files are missing"
                )));
            }
            layout.at = if begins.is_some() { full } else { end };
        }
        let committed = self.dledger.committed();
        let (mut survey, mut layout) = (survey, layout);
        let end = self.dledger.walk(&mut |entry: &DLedgerEntry<'_>| {
            survey.first = survey.first.or(Some(entry.index));
            let is_uncommitted = committed.is_none_or(|committed| entry.index > committed);
            survey.uncommitted += u64::from(is_uncommitted);
            if is_uncommitted && self.committed_only {
                survey.left_out += 1;
                return Ok(());
            }
            let Some(record) = &entry.record else { return Ok(()) };
            survey.messages += 1;
            layout.next(record.size() as u64).map(|_| ()).ok_or_else(|| {
                refuse(format!(
                    "the message of entry {} has {} bytes; mappedFileSizeCommitLog is {}",
                    entry.index,
                    record.size(),
                    layout.file_size
                ))
            })
        })?;
        (survey.last, survey.torn) = (end.last, end.torn);
        survey.end = layout.at;
        Ok(survey)
    }

    /// Bytes of a file of the plain log, whose files follow one another; 0 if there is none.
    fn plain_file_size(&self) -> Result<u64, Stop> {
        let files = self.directory.log_files();
        let size = files.first().map(|file| file.len).unwrap_or_default();
        let mut wanted = None;
        for file in files {
            let base = file.base.filter(|base| i64::try_from(*base).is_ok());
            let reason = match base {
                None => "not named by its first offset".to_owned(),
                Some(base) if file.len != size || base.checked_rem(size) != Some(0) => {
                    "its length or name is not as that of the others".to_owned()
                }
                Some(base) if wanted.is_some_and(|wanted| base != wanted) => {
                    "the file before it is not there".to_owned()
                }
                Some(base) => {
                    wanted = base.checked_add(size);
                    continue;
                }
            };
            return Err(DLedgerError::Files { path: file.path.clone(), reason }.into());
        }
        Ok(size)
    }

    /// Shows everything that is to be taken.
    pub fn walk(&self, each: &mut dyn FnMut(Found<'_>) -> Result<(), Stop>) -> Result<(), Stop> {
        self.walk_plain(each)?;
        let committed = self.dledger.committed();
        self.dledger.walk(&mut |entry: &DLedgerEntry<'_>| {
            let is_uncommitted = committed.is_none_or(|committed| entry.index > committed);
            match &entry.record {
                Some(record) if !(is_uncommitted && self.committed_only) => {
                    each(Found::Entry(entry, record.clone()))
                }
                _ => Ok(()),
            }
        })?;
        Ok(())
    }

    fn walk_plain(&self, each: &mut dyn FnMut(Found<'_>) -> Result<(), Stop>) -> Result<(), Stop> {
        let directory = &self.directory;
        let mut result = Ok(());
        directory.walk_log(directory.log_start(), &mut |offset, piece| {
            result = match piece {
                Piece::Message(record) => each(Found::Plain(record)),
                Piece::EndOfFile => each(Found::EndOfFile(offset)),
                Piece::Damage { reason, .. } => {
                    let file = directory.log_file_of(offset);
                    let path = file.map(|file| file.path.clone()).unwrap_or_default();
                    let base = file.and_then(|file| file.base).unwrap_or_default();
                    Err(DLedgerError::Damaged { path, position: offset - base, reason }.into())
                }
                Piece::End { .. } => Ok(()),
            };
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        result
    }
}

/// Keeps a broker from starting meanwhile, and tells one that runs; the file is Java's.
fn lock(root: &Path) -> Result<Option<Box<dyn DiskLock>>, Stop> {
    let path = root.join("lock");
    if !std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    match RealDisk.lock(&path) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(refuse(format!("a broker is running on {}; stop it", root.display()))),
        // A copy that may not be written to has no broker.
        Err(_) => Ok(None),
    }
}

/// From a record's offset in the source to that in the new store.
pub struct Mover {
    pub positions: Positions,
    lookup: DLedger,
    divided: u64,
}

impl Mover {
    pub fn new(args: &Args, directory: &Directory, divided: u64) -> Result<Self, Stop> {
        let lookup = directory.dledger(args.member.as_deref(), &args.data)?;
        Ok(Self { positions: Positions::default(), lookup, divided })
    }

    /// What lies before DLedger's log is where it was, or has expired.
    pub fn new_of(&mut self, old: u64) -> DiskResult<Option<u64>> {
        if old < self.divided {
            return Ok(Some(old));
        }
        let index = self.lookup.index_at(old)?;
        Ok(index.and_then(|index| self.positions.new_of(index, old)))
    }
}

/// Folders and files of the source as they are shown.
pub fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

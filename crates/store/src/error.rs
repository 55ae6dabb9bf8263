//! Why an operation of the store failed.

use std::path::PathBuf;
use std::sync::Arc;

use skua_protocol::PhysicalOffset;
use skua_protocol::record::RecordError;

use crate::disk::DiskError;
use crate::retention::DiskFull;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another broker holds the lock file {}", .0.display())]
    Locked(PathBuf),
    #[error("{} has {found} bytes, but {key} is {expected}", path.display())]
    FileSize { path: PathBuf, found: u64, expected: u64, key: &'static str },
    #[error("{} is not named by its first offset", .0.display())]
    FileName(PathBuf),
    #[error(
        "{} says that an import into this directory did not end: \
         give the same `skua store import-dledger` again, or empty the directory", .0.display()
    )]
    Unfinished(PathBuf),
    #[error("every folder of storePathCommitLog is in readOnlyCommitLogStorePaths, too")]
    NoWritableFolder,
    #[error("{} has no file for offset {missing}, but one for {next}", dir.display())]
    MissingFile { dir: PathBuf, missing: PhysicalOffset, next: PhysicalOffset },
    #[error("{} holds a RocksDB store; Skua serves file-based stores only", .0.display())]
    RocksDb(PathBuf),
    #[error("{key} is {value}; it must be {must}")]
    Option { key: &'static str, value: u64, must: &'static str },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The commit log is broken before its end. See [`OnDamage`](crate::OnDamage).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is damaged at byte {position} (physical offset {offset}): {reason}; {}. \
     Nothing was cut; see `skua store repair`",
    path.display(), followed(*next)
)]
pub struct Damage {
    pub path: PathBuf,
    pub offset: PhysicalOffset,
    /// The same place as a position in the file.
    pub position: u64,
    pub reason: String,
    /// The first whole record behind, if there is one.
    pub next: Option<PhysicalOffset>,
}

fn followed(next: Option<PhysicalOffset>) -> String {
    match next {
        Some(next) => format!("the next whole record is at physical offset {next}"),
        None => "no whole record follows, but what was there had been durable".to_owned(),
    }
}

/// Why the store takes no more writes until it is opened anew.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store takes no writes since: {0}")]
pub struct Failure(pub Arc<DiskError>);

/// A message was not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing more will be stored until restart.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// There is no space for the next file; this passes when there is.
    #[error("no space for the next file: {0}")]
    NoSpace(DiskError),
    /// This passes, too, with files that expire or are deleted by hand.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    #[error("{size} bytes in one append, {max} is the most")]
    TooLarge { size: u64, max: u64 },
    #[error(transparent)]
    Record(#[from] RecordError),
    /// After a power cut such a record could not be told from a torn one.
    #[error("properties with {0} zero bytes in a row")]
    Zeros(usize),
    #[error("the queue's files cannot be used: {0}")]
    Queue(DiskError),
    #[error("the broker is not the master of its group, whose log this is")]
    Copy,
    #[error("the store is closing")]
    Closed,
}

/// Bytes of another broker's log were not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReplicateError {
    /// Nothing more will be stored until restart.
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("no space for the next file: {0}")]
    NoSpace(DiskError),
    #[error("the log ends at {end}, the bytes belong to {at}")]
    NotTheEnd { at: u64, end: u64 },
    #[error("offset {0} is not the start of a file")]
    NoFileStart(u64),
    #[error("bytes up to {end} would reach into the next file")]
    FileEnd { end: u64 },
    #[error("no record begins at {offset}: {cause}")]
    NoRecord { offset: u64, cause: RecordError },
    #[error("the record at {offset} belongs elsewhere, or its topic cannot be stored")]
    BadRecord { offset: u64 },
    #[error("the log is this broker's own: it is no slave")]
    Own,
    #[error("the store is closing")]
    Closed,
}

impl AppendError {
    /// The message itself cannot be stored, now or later.
    pub fn is_of_the_message(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Record(_) | Self::Zeros(_) => true,
            Self::Queue(cause) => cause.cause.kind() == std::io::ErrorKind::InvalidFilename,
            Self::Failed(_) | Self::NoSpace(_) | Self::DiskFull(_) | Self::Copy | Self::Closed => {
                false
            }
        }
    }
}

/// What should become durable may not be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FlushError {
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("the store was closed before")]
    Closed,
}

/// This broker took no appends any more before what was waited for was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this broker is not its group's leader any more; the message may be kept or not")]
pub struct Unconfirmed;

/// Something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("bytes {from}..{to} are not in the log, which holds {min}..{max}")]
    NotThere { from: u64, to: u64, min: u64, max: u64 },
    #[error("no record begins at {offset}: {cause}")]
    NoRecord { offset: PhysicalOffset, cause: RecordError },
    #[error("a record of {size} bytes was asked for at {offset}, it has {found}")]
    OtherSize { offset: PhysicalOffset, size: usize, found: usize },
}

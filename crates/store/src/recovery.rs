//! What the start does with the files it finds.
//!
//! The log decides. Reading begins where everything before is known to be complete in the queues:
//! at our own mark in the checkpoint or, in a directory that Java wrote last, at the newest file
//! that began before the checkpoint's times. From there every record is checked and dispatched
//! again; the first place where none stands is the log's end, and what follows is cut.
//! How the last run ended makes no difference, only whether a cut is worth a warning.

use crate::checkpoint::Checkpoint;
use crate::commit_log::CommitLog;
use crate::consume_queue::Queues;
use crate::disk::DiskError;
use crate::dispatch::{DispatchError, Dispatcher, Stop, Trust};
use crate::error::{OpenError, ReadError};
use skua_protocol::Millis;
use skua_protocol::record::{Peek, Record, next};

/// How the last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastRun {
    Closed,
    Killed,
    /// A sync failed before. The kernel counts such pages as clean, though they are not on the
    /// disk: what this start relies on is written again, or no later sync would save it.
    DiskFailed,
}

/// What recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last run did not end cleanly.
    pub was_killed: bool,
    /// Where reading the log began.
    pub from: u64,
    /// The log's end.
    pub end: u64,
    /// Records read.
    pub records: u64,
    /// Bytes behind the end that were not zero, and are now.
    pub cut: u64,
}

/// Brings log and queues into agreement; leaves `dispatcher` at the log's end.
pub(crate) fn recover(
    log: &CommitLog,
    queues: &Queues,
    dispatcher: &mut Dispatcher,
    checkpoint: &Checkpoint,
    last_run: LastRun,
    check_crc: bool,
) -> Result<Recovered, OpenError> {
    let was_killed = last_run != LastRun::Closed;
    if last_run == LastRun::DiskFailed {
        tracing::warn!("the disk failed in the last run; what was not durable is written again");
        queues.rewrite();
    }
    let files = log.files();
    let Some((first, last)) = files.first().copied().zip(files.last().copied()) else {
        if !queues.is_empty()? {
            // Java: entries without their log are worth nothing.
            tracing::warn!(dir = %log.dir().display(), "there is no commit log; the consume queues are deleted");
            queues.delete_all()?;
        }
        queues.recovered()?;
        return Ok(Recovered { was_killed, from: 0, end: 0, records: 0, cut: 0 });
    };
    let files_end = last + log.file_size();
    log.show_until(files_end);

    let from = if queues.is_empty()? { first } else { start(log, checkpoint, check_crc)? };
    queues.note_gaps(from > first);
    let mut scan = scan(log, queues, dispatcher, from, files_end, check_crc)?;
    if queues.has_gap() {
        tracing::warn!("consume queues lack entries of older records; the whole log is read again");
        queues.unload();
        queues.note_gaps(false);
        scan = self::scan(log, queues, dispatcher, first, files_end, check_crc)?;
    }
    queues.note_gaps(false);
    let end = dispatcher.position;
    dispatcher.timestamp = Millis(dispatcher.timestamp.0.max(checkpoint.physic_timestamp as i64));
    log.start_at(end, dispatcher.timestamp.0.max(0) as u64);
    // A run that ended cleanly at our own mark left nothing behind it.
    let is_clean = last_run == LastRun::Closed
        && scan.records == 0
        && checkpoint.own.is_some_and(|marks| marks.dispatched == end && marks.flushed == end);
    let cut = if is_clean { 0 } else { log.cut(end)? };
    if last_run == LastRun::DiskFailed {
        log.rewrite(scan.from, end)?;
    }
    queues.recovered()?;
    queues.trust_below(end);
    if cut > 0 {
        let reason = scan.reason;
        tracing::warn!(offset = end, bytes = cut, reason, "torn tail of the commit log is cut");
    }
    Ok(Recovered { was_killed, from: scan.from, end, records: scan.records, cut })
}

struct Scan {
    from: u64,
    records: u64,
    reason: String,
}

fn scan(
    log: &CommitLog,
    queues: &Queues,
    dispatcher: &mut Dispatcher,
    from: u64,
    files_end: u64,
    check_crc: bool,
) -> Result<Scan, OpenError> {
    queues.trust_below(from);
    dispatcher.position = from;
    dispatcher.timestamp = Millis(0);
    let mut records = 0;
    let mut reason = String::new();
    loop {
        let trust = Trust::Check { crc: check_crc };
        let round = dispatcher.round(log, queues, files_end, trust, &|_| {});
        let (count, stop) = round.map_err(disk_error)?;
        records += count as u64;
        match stop {
            Stop::NoRecord(why) => {
                if let Some(why) = why {
                    reason = why.to_string();
                }
                break;
            }
            Stop::Done if count == 0 || queues.has_gap() => break,
            Stop::Done => {}
        }
    }
    Ok(Scan { from, records, reason })
}

/// Where to begin reading.
fn start(log: &CommitLog, checkpoint: &Checkpoint, check_crc: bool) -> Result<u64, OpenError> {
    let files = log.files();
    let first = files.first().copied().unwrap_or(0);
    if let Some(marks) = checkpoint.own {
        let known = log.file_of(marks.dispatched).is_some()
            || files.last().is_some_and(|last| last + log.file_size() == marks.dispatched);
        if known {
            return Ok(marks.dispatched);
        }
    }
    for base in files.iter().rev().copied() {
        if let Some(timestamp) = first_timestamp(log, base, check_crc)?
            && timestamp > 0
            && timestamp <= checkpoint.min_timestamp()
        {
            return Ok(base);
        }
    }
    Ok(first)
}

/// Store time of the file's first record; `None` if it has none.
fn first_timestamp(log: &CommitLog, base: u64, check_crc: bool) -> Result<Option<u64>, OpenError> {
    let mut bytes = Vec::new();
    match log.record_at(base, None, &mut bytes) {
        Ok(()) => {}
        Err(ReadError::Disk(cause)) => return Err(cause.into()),
        Err(_) => return Ok(None),
    }
    let Ok(Peek::Message { .. }) = next(&bytes) else { return Ok(None) };
    let record = Record::parse_with(&bytes, check_crc);
    Ok(record.ok().and_then(|record| u64::try_from(record.store_timestamp().0).ok()))
}

fn disk_error(error: DispatchError) -> OpenError {
    match error {
        DispatchError::Queue(cause) | DispatchError::Log(ReadError::Disk(cause)) => cause.into(),
        DispatchError::Log(other) => {
            let cause = std::io::Error::other(other);
            DiskError::new("read", std::path::Path::new("commitlog"), cause).into()
        }
    }
}

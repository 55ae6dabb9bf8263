//! Telling a torn tail from damage inside the log.
//!
//! Where no record stands, the log may simply end: a crash tore what came last, and a power cut
//! may have kept any of the sectors after the last flush and lost the others. Cutting that loses
//! nothing that was promised. But if the place was durable once, or if whole records follow and no
//! lost sector explains the break, something else has changed the bytes, and cutting would throw
//! messages away. Then the start stops, unless it is told otherwise.

use std::ops::Range;

use memchr::memmem;
use skua_protocol::record::{MAGIC_V1, MAGIC_V2, Record};
use skua_protocol::{Millis, PhysicalOffset};

use crate::checkpoint::Checkpoint;
use crate::commit_log::CommitLog;
use crate::disk::{DiskResult, Wait};
use crate::error::{Damage, ReadError};
use crate::recovery::LastRun;
use crate::torn;

/// Sectors reach the disk whole or not at all.
const SECTOR: u64 = 512;
/// That many zeros in a row before the end of a sector are taken for what was lost. Fewer count
/// if they are all that the sector has of the stretch.
const LOST_LEAST: u64 = 8;
/// A record's first two bytes are zero unless it is very long: no sign of a loss.
const HEAD_ZEROS: u64 = 2;
/// And these may be in a short one: no sign that their sector was saved.
const HEAD_ZEROS_MOST: u64 = 3;
/// Bytes looked through at a time.
const STEP: u64 = 1 << 20;
/// The magic's place in a record.
const MAGIC_AT: u64 = 4;
const MAGIC_LEN: u64 = 4;

/// What is known of the log when no record stands at `end`.
#[derive(Debug)]
pub(crate) struct Break<'a> {
    pub end: u64,
    /// Store time of the last record before.
    pub last_timestamp: Millis,
    /// Why there is no record, empty if nothing stands there.
    pub reason: &'a str,
}

/// How to take a break.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The log ends there; `lost_sectors` if records follow that a power cut has left.
    Tail {
        lost_sectors: bool,
    },
    Damage(Damage),
}

/// Judges the break, with the log shown up to the end of its files.
pub(crate) fn judge(
    log: &CommitLog,
    at: &Break<'_>,
    checkpoint: &Checkpoint,
    last_run: LastRun,
) -> DiskResult<Verdict> {
    let next = next_record(log, at.end, at.last_timestamp)?;
    let damage = |next: Option<&Next>| {
        let base = log.file_of(at.end).unwrap_or(at.end);
        let reason = if at.reason.is_empty() { "nothing stands there" } else { at.reason };
        Verdict::Damage(Damage {
            path: log.path(base),
            offset: PhysicalOffset(at.end),
            position: at.end - base,
            reason: reason.to_owned(),
            next: next.map(|next| PhysicalOffset(next.offset)),
        })
    };
    if checkpoint.own.is_some_and(|marks| at.end < marks.flushed) {
        return Ok(damage(next.as_ref()));
    }
    let Some(next) = next else { return Ok(Verdict::Tail { lost_sectors: false }) };
    // Java marks times only. Its own margin, too, against what it counts too early.
    let durable_time = checkpoint.physic_timestamp.saturating_sub(Checkpoint::MARGIN_MS);
    let was_durable = checkpoint.own.is_none() && next.timestamp.0 < durable_time as i64;
    if last_run == LastRun::Closed || was_durable {
        return Ok(damage(Some(&next)));
    }
    if is_unfinished(log, at.end)? {
        return Ok(Verdict::Tail { lost_sectors: false });
    }
    if has_lost_sector(log, at.end..next.offset)? {
        return Ok(Verdict::Tail { lost_sectors: true });
    }
    Ok(damage(Some(&next)))
}

/// Whether the process ended in the midst of an append: the head of the first record is written
/// last, when those behind it may be whole.
fn is_unfinished(log: &CommitLog, at: u64) -> DiskResult<bool> {
    let mut last_of_head = Vec::new();
    match log.read_into(at + MAGIC_AT + MAGIC_LEN - 1, 1, Wait::ForDisk, &mut last_of_head) {
        Ok(()) => Ok(last_of_head == [0]),
        Err(ReadError::Disk(cause)) => Err(cause),
        Err(_) => Ok(false),
    }
}

/// A record behind a break.
#[derive(Debug)]
struct Next {
    offset: u64,
    timestamp: Millis,
}

/// The first whole record behind `end` that is not older than `since`. Older ones are left from
/// before: Java does not clear what it cuts.
fn next_record(log: &CommitLog, end: u64, since: Millis) -> DiskResult<Option<Next>> {
    let mut record = Vec::new();
    let mut found = None;
    for base in log.files() {
        let file_end = base + log.file_size();
        if file_end <= end {
            continue;
        }
        log.search(base, end.max(base) - base, STEP, MAGIC_LEN - 1, &mut |start, bytes| {
            for at in magics(bytes) {
                let Some(offset) = (base + start + at).checked_sub(MAGIC_AT) else { continue };
                if offset <= end {
                    continue;
                }
                match log.record_at(offset, None, &mut record) {
                    Ok(()) => {}
                    Err(ReadError::Disk(cause)) => return Err(cause),
                    Err(_) => continue,
                }
                let Ok(parsed) = Record::parse_with(&record, true) else { continue };
                let timestamp = parsed.store_timestamp();
                if timestamp >= since && !torn::has_lost_sector(&parsed, offset) {
                    found = Some(Next { offset, timestamp });
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

/// Where the magics of records stand in `bytes`, ascending.
fn magics(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    // Both begin alike.
    const _: () = assert!(MAGIC_V1 >> 8 == MAGIC_V2 >> 8);
    const COMMON: [u8; 3] = [(MAGIC_V1 >> 24) as u8, (MAGIC_V1 >> 16) as u8, (MAGIC_V1 >> 8) as u8];
    let last = [MAGIC_V1 as u8, MAGIC_V2 as u8];
    memmem::find_iter(bytes, &COMMON)
        .filter(move |at| bytes.get(at + COMMON.len()).is_some_and(|byte| last.contains(byte)))
        .map(|at| at as u64)
}

/// Whether a sector in `range`, or its share of it, looks as if it had not reached the disk. The
/// record that follows the range is whole, and with it what its first sector has of the range.
fn has_lost_sector(log: &CommitLog, range: Range<u64>) -> DiskResult<bool> {
    // Files begin at a sector of their own.
    let file_start = log.file_of(range.end).unwrap_or(0);
    let of_next = (range.end - file_start) % SECTOR;
    let end = if of_next + HEAD_ZEROS_MOST >= SECTOR { range.end } else { range.end - of_next };
    let mut at = range.start;
    let mut bytes = Vec::new();
    while at < end
        && let Some(base) = log.file_of(at)
    {
        let in_file = at - base;
        let to = (in_file + STEP).next_multiple_of(SECTOR).min(log.file_size()).min(end - base);
        bytes.clear();
        match log.read_into(at, (to - in_file) as usize, Wait::ForDisk, &mut bytes) {
            Ok(()) => {}
            Err(ReadError::Disk(cause)) => return Err(cause),
            Err(_) => break,
        }
        let mut rest = &bytes[..];
        let mut place = in_file;
        while !rest.is_empty() {
            let share = (SECTOR - place % SECTOR).min(rest.len() as u64);
            let (sector, later) = rest.split_at(share as usize);
            let zeros = sector.iter().rev().take_while(|byte| **byte == 0).count() as u64;
            if zeros >= LOST_LEAST || (zeros == share && share > HEAD_ZEROS) {
                return Ok(true);
            }
            (rest, place) = (later, place + share);
        }
        at = base + to;
    }
    Ok(false)
}

//! What the start does with the files it finds.
//!
//! The log decides. Reading begins where everything before is known to be complete in the queues:
//! at our own mark in the checkpoint or, in a directory that Java wrote last, at the newest file
//! that began before the checkpoint's times. From there every record is checked and dispatched
//! again, up to the first place where none stands. That is the log's end, and what follows is cut,
//! unless the place is damage inside the log: see `damage.rs` for how that is told.

use skua_protocol::record::{
    FLAG_TRANSACTION_ROLLBACK, MAGIC_END_OF_FILE, NewRecord, Peek, Record, next, reserve_seal,
    seal, stamp,
};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::commit_log::{CommitLog, END_OF_FILE_LEN};
use crate::consume_queue::Queues;
use crate::damage::{self, Break, Verdict};
use crate::disk::{Disk, DiskError};
use crate::dispatch::{Checks, DispatchError, Dispatcher, Stop, Trust};
use crate::error::{OpenError, ReadError};
use crate::options::OnDamage;

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
    /// Everything before is in its queue: the log's end, unless a group has agreed on less.
    pub dispatched: u64,
    /// Records read.
    pub records: u64,
    /// Bytes behind the end that were not zero, and are now.
    pub cut: u64,
}

/// What recovery works on, and what it is told.
pub(crate) struct Recovery<'a> {
    pub log: &'a CommitLog,
    pub queues: &'a Queues,
    pub dispatcher: &'a mut Dispatcher,
    pub checkpoint: &'a mut Checkpoint,
    pub checkpoint_file: &'a CheckpointFile,
    pub disk: &'a dyn Disk,
    pub last_run: LastRun,
    /// Read the log from its start.
    pub whole: bool,
    pub checks: Checks,
    pub on_damage: OnDamage,
    /// The log is dispatched up to here at least, and up to its end if there is no such place.
    pub confirmed: Option<u64>,
    /// What lies behind counts for nothing.
    pub void_from: Option<u64>,
}

impl Recovery<'_> {
    /// Brings log and queues into agreement; leaves the dispatcher at the log's end.
    pub(crate) fn run(mut self) -> Result<Recovered, OpenError> {
        let Self { log, queues, last_run, .. } = self;
        let was_killed = last_run != LastRun::Closed;
        if last_run == LastRun::DiskFailed {
            tracing::warn!(
                "the disk failed in the last run; what was not durable is written again"
            );
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
            if let Some(own) = self.checkpoint.own.as_mut().filter(|own| own.flushed > 0) {
                // Made when a log that was to begin elsewhere had found no space for its file. The
                // one that begins now must not be measured by it.
                (own.flushed, own.dispatched) = (0, 0);
                self.checkpoint_file.write(self.disk, self.checkpoint)?;
            }
            let dispatched = 0;
            return Ok(Recovered { was_killed, from: 0, end: 0, dispatched, records: 0, cut: 0 });
        };
        let files_end = last + log.file_size();
        log.show_until(files_end);

        let from = start(log, self.checkpoint, self.checks.crc)?;
        let from = if self.whole || from == first || queues.is_empty()? {
            self.distrust_queues(first)?;
            first
        } else {
            from
        };
        // What was dispatched once was agreed on.
        let limit = self.confirmed.map_or(u64::MAX, |confirmed| confirmed.max(from));
        self.dispatcher.limit = limit;
        queues.note_gaps(from > first);
        let mut scan = self.scan(from, files_end)?;
        if queues.has_gap() {
            tracing::warn!(
                "consume queues lack entries of older records; the whole log is read again"
            );
            queues.unload();
            queues.note_gaps(false);
            self.distrust_queues(first)?;
            scan = self.scan(first, files_end)?;
        }
        queues.note_gaps(false);
        let end = self.dispatcher.position;
        let newest = self.checkpoint.physic_timestamp as i64;
        let timestamp = Millis(self.dispatcher.timestamp.0.max(newest));
        let dispatched = match self.dispatcher.limit {
            u64::MAX => end,
            limit => end.min(limit),
        };
        self.dispatcher.position = dispatched;
        self.dispatcher.timestamp = match dispatched {
            at if at < end => self.dispatcher.limit_timestamp,
            _ => timestamp,
        };
        self.dispatcher.limit = u64::MAX;
        log.start_at(end, timestamp.0.max(0) as u64);
        let cut = if scan.is_clean { 0 } else { log.cut(end)? };
        if last_run == LastRun::DiskFailed {
            log.rewrite(scan.from, end)?;
        }
        queues.recovered()?;
        // Entries behind are of a life in which more was known to be agreed on.
        queues.trust_below(dispatched);
        if cut > 0 {
            let (reason, what) = (&scan.reason, scan.what);
            tracing::warn!(offset = end, bytes = cut, reason, "{what} is cut");
        }
        let Scan { from, records, .. } = scan;
        Ok(Recovered { was_killed, from, end, dispatched, records, cut })
    }

    /// The whole log is read again. If that is not brought to an end, the next start must not
    /// take what there is of the queues by then for all of it. Even if the checkpoint says so
    /// already: it may be in the page cache only.
    fn distrust_queues(&mut self, first: u64) -> Result<(), OpenError> {
        self.checkpoint.logics_timestamp = 0;
        if let Some(own) = &mut self.checkpoint.own {
            own.dispatched = first;
        }
        Ok(self.checkpoint_file.write(self.disk, self.checkpoint)?)
    }

    /// Reads the log from `from` on to its end.
    fn scan(&mut self, from: u64, files_end: u64) -> Result<Scan, OpenError> {
        self.queues.trust_below(from);
        self.dispatcher.position = from;
        self.dispatcher.timestamp = Millis(0);
        let mut scan = Scan { from, records: 0, reason: String::new(), is_clean: false, what: "" };
        loop {
            self.scan_to_break(&mut scan, files_end)?;
            if self.queues.has_gap() {
                return Ok(scan);
            }
            let end = self.dispatcher.position;
            // A run that ended cleanly at our own mark left nothing behind it.
            let own = self.checkpoint.own;
            scan.is_clean = self.last_run == LastRun::Closed
                && scan.records == 0
                && own.is_some_and(|marks| marks.dispatched == end && marks.flushed == end);
            if scan.is_clean || !self.goes_on(&mut scan, end, from)? {
                return Ok(scan);
            }
        }
    }

    /// Reads up to where no record stands.
    fn scan_to_break(&mut self, scan: &mut Scan, files_end: u64) -> Result<(), OpenError> {
        loop {
            let trust = Trust::Check(self.checks);
            let round = self.dispatcher.round(self.log, self.queues, files_end, trust, &|_| {});
            let (count, stop) = round.map_err(disk_error)?;
            scan.records += count as u64;
            match stop {
                Stop::NoRecord(why) => {
                    scan.reason = why.map_or_else(String::new, |why| why.to_string());
                    return Ok(());
                }
                Stop::Done if count == 0 || self.queues.has_gap() => return Ok(()),
                Stop::Done => {}
            }
        }
    }

    /// Judges the place where no record stands: whether there is more to read behind it.
    fn goes_on(&mut self, scan: &mut Scan, end: u64, from: u64) -> Result<bool, OpenError> {
        let mut last_timestamp = self.dispatcher.timestamp;
        if end == from && self.checkpoint.own.is_some_and(|marks| marks.dispatched == from) {
            last_timestamp = Millis(self.checkpoint.logics_timestamp as i64);
        }
        if self.void_from.is_some_and(|from| end >= from) {
            scan.what = "what the commit log has behind its last entry of the group";
            return Ok(false);
        }
        let at = Break { end, last_timestamp, reason: &scan.reason };
        let damage = match damage::judge(self.log, &at, self.checkpoint, self.last_run)? {
            Verdict::Tail { lost_sectors } => {
                scan.what = if lost_sectors {
                    "tail of the commit log, torn by lost sectors between whole records,"
                } else {
                    "torn tail of the commit log"
                };
                return Ok(false);
            }
            Verdict::Damage(damage) => damage,
        };
        match (self.on_damage, damage.next) {
            (OnDamage::Stop, _) => Err(damage.into()),
            (OnDamage::Bridge, Some(next)) => {
                let bytes = next.0 - end;
                tracing::warn!(offset = end, bytes, "damage in the commit log is bridged");
                bridge(self.log, end, next.0, last_timestamp, self.checks.seal)?;
                Ok(true)
            }
            (OnDamage::Cut | OnDamage::Bridge, _) => {
                scan.what = "the commit log from its damage on";
                Ok(false)
            }
        }
    }
}

struct Scan {
    from: u64,
    records: u64,
    /// Why the end is the end.
    reason: String,
    /// Nothing is behind the end.
    is_clean: bool,
    /// What is cut, if anything is.
    what: &'static str,
}

/// Topic of the record that stands where damage was. It is in no queue.
const DAMAGE_TOPIC: &str = "SKUA_DAMAGE";

/// Puts something readable over `end..next`: a record, or a filler up to the end of the file.
fn bridge(
    log: &CommitLog,
    end: u64,
    next: u64,
    timestamp: Millis,
    seals: bool,
) -> Result<(), OpenError> {
    let file_end = log.file_of(end).map_or(next, |base| base + log.file_size());
    if next >= file_end {
        let mut filler = [0; END_OF_FILE_LEN as usize];
        filler[..4].copy_from_slice(&((file_end - end) as u32).to_be_bytes());
        filler[4..].copy_from_slice(&MAGIC_END_OF_FILE.to_be_bytes());
        return Ok(log.overwrite(end, &filler)?);
    }
    let host = (std::net::Ipv4Addr::UNSPECIFIED, 0).into();
    let mut properties = Vec::new();
    if seals {
        reserve_seal(&mut properties);
    }
    let mut record = NewRecord {
        topic: DAMAGE_TOPIC,
        queue_id: QueueId(0),
        flag: 0,
        // Rolled back: nobody gets it.
        sys_flag: FLAG_TRANSACTION_ROLLBACK,
        born_timestamp: timestamp,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &[],
        properties: &properties,
    };
    let size = (next - end) as usize;
    let spare = |record: &NewRecord<'_>| size.checked_sub(record.encoded_len());
    if spare(&record).is_none() {
        // As short as the shortest message.
        record.topic = &DAMAGE_TOPIC[..1];
    }
    let Some(spare) = spare(&record) else {
        let cause =
            std::io::Error::other(format!("{size} bytes at {end} are too few for a record"));
        return Err(DiskError::new("bridge the damage in", log.dir(), cause).into());
    };
    let body = vec![b'#'; spare];
    record.body = &body;
    let mut bytes = Vec::with_capacity(size);
    let encoded = record.encode(&mut bytes);
    encoded.map_err(|e| DiskError::new("bridge", log.dir(), std::io::Error::other(e)))?;
    let timestamp = Millis(timestamp.0.max(1));
    stamp(&mut bytes, QueueOffset(0), PhysicalOffset(end), timestamp);
    if seals {
        seal(&mut bytes);
    }
    Ok(log.overwrite(end, &bytes)?)
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

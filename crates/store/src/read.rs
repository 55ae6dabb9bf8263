//! Reading a queue for consumers: which entries, then their records, by RocketMQ's bounds.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::properties::INNER_NUM;
use skua_protocol::record::Record;
use skua_protocol::{Millis, QueueId, QueueOffset};

use crate::Store;
use crate::commit_log::{Block, GAP_MAX, LOOK_GAP_MAX, worth_blocks};
use crate::consume_queue::{Entry, Queue, inner_messages};
use crate::disk::{DiskError, DiskResult, Wait};
use crate::dispatch::tags_code;
use crate::error::ReadError;
use crate::multi_dispatch::is_lmq;

/// Entries looked up at a time.
const CHUNK: usize = 64;
/// Memory taken at once for an answer's body: an entry may say anything.
const BODY_LEN_USUAL: usize = 1 << 20;

/// What came of a read (Java: `GetMessageStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadStatus {
    Found,
    /// There are entries, but the filter took none.
    NoMatchedMessage,
    /// The records are deleted already.
    MessageWasRemoving,
    /// The entries cannot be read.
    OffsetFoundNull,
    /// Beyond the next message's offset.
    OffsetOverflowBadly,
    /// Right behind the last message.
    OffsetOverflowOne,
    OffsetTooSmall,
    NoMatchedLogicQueue,
    #[default]
    NoMessageInQueue,
    /// Whoever serves the reader has set its offset; the store never says so.
    OffsetReset,
}

impl ReadStatus {
    /// Java's name of it, which clients get as the remark.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// What the reader asks for; the store's own bounds come on top. One message is given always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    pub max_messages: u32,
}

/// The answer to a read. Offsets are as clients get them.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub status: ReadStatus,
    /// Where to go on.
    pub next_offset: i64,
    pub min_offset: i64,
    pub max_offset: i64,
    /// The records, one behind the other.
    pub body: Bytes,
    /// Messages: more than records, where some hold several.
    pub count: u32,
    /// Bytes of log between the last entry looked at and the log's end; 0 if none was.
    pub behind: u64,
    /// The reader is so far behind that its data is likely not cached: a slave may serve it.
    pub suggest_slave: bool,
}

impl Store {
    /// Messages of a queue from `from` on that `keep` takes. May wait for the disk.
    ///
    /// Entries whose tags code is in an extension file are shown with the record's.
    pub fn read(
        &self,
        topic: &str,
        queue_id: QueueId,
        from: i64,
        limits: ReadLimits,
        keep: &mut dyn FnMut(&Entry) -> bool,
    ) -> Read {
        self.read_where(topic, queue_id, from, limits, keep, KeepMore::default())
    }

    /// As [`read`](Self::read); of the entries that `keep` takes, those that `more` takes too.
    /// Records that are gone are not asked about.
    pub fn read_where(
        &self,
        topic: &str,
        queue_id: QueueId,
        from: i64,
        limits: ReadLimits,
        keep: &mut dyn FnMut(&Entry) -> bool,
        more: KeepMore<'_>,
    ) -> Read {
        let keep = Keep { entry: keep, more };
        match self.queues.find(topic, queue_id) {
            Ok(queue) => self.read_queue(&queue, from, limits, Wait::ForDisk, keep),
            Err(_) => Err(DiskWait),
        }
        .unwrap_or_else(|DiskWait| empty(ReadStatus::OffsetFoundNull, from.max(0) as u64, 0, 0))
    }

    /// As [`read_where`](Self::read_where) if that needs nothing but memory; `None` if it would
    /// wait for the disk.
    pub fn read_cached(
        &self,
        topic: &str,
        queue_id: QueueId,
        from: i64,
        limits: ReadLimits,
        keep: &mut dyn FnMut(&Entry) -> bool,
        more: KeepMore<'_>,
    ) -> Option<Read> {
        let queue = self.queues.get_loaded(topic, queue_id)?;
        let keep = Keep { entry: keep, more };
        self.read_queue(&queue, from, limits, Wait::Never, keep).ok()
    }

    fn read_queue(
        &self,
        queue: &Arc<Queue>,
        from: i64,
        limits: ReadLimits,
        wait: Wait,
        mut keep: Keep<'_, '_>,
    ) -> Result<Read, DiskWait> {
        let compacted = self.compacted(queue, wait).map_err(|_| DiskWait)?;
        let kept_from = compacted.as_ref().map(|file| file.first.unwrap_or(file.until));
        let (min, max) = (kept_from.unwrap_or(queue.min()), queue.max());
        let bounds = |status, next| empty(status, next, min, max);
        let from = match u64::try_from(from) {
            _ if max == 0 => return Ok(bounds(ReadStatus::NoMessageInQueue, 0)),
            Err(_) => return Ok(bounds(ReadStatus::OffsetTooSmall, min)),
            Ok(from) if from < min => return Ok(bounds(ReadStatus::OffsetTooSmall, min)),
            Ok(from) if from == max => return Ok(bounds(ReadStatus::OffsetOverflowOne, from)),
            Ok(from) if from > max => return Ok(bounds(ReadStatus::OffsetOverflowBadly, max)),
            Ok(from) => from,
        };
        if let Some(file) = compacted.filter(|file| from < file.until) {
            let read = self.read_compacted(queue, &file, from, limits, wait, &mut keep);
            return read.or_else(|cause| match wait {
                Wait::Never if cause.would_block() => Err(DiskWait),
                _ => {
                    tracing::warn!(%cause, "kept messages cannot be read");
                    Ok(bounds(ReadStatus::OffsetFoundNull, file.until))
                }
            });
        }
        let mut selected = self.select(queue, from, max, limits, wait, &mut keep);
        if queue.is_batch()
            && let Ok(first) = &selected
        {
            let (read, wrong) = self.collect(queue, first, min, max, wait)?;
            if wrong.is_empty() {
                return Ok(read);
            }
            if self.heal_batches(queue, &wrong, wait)? {
                // Places may be others now.
                selected = self.select(queue, from, max, limits, wait, &mut keep);
            }
        }
        match selected {
            Ok(selected) => self.collect_whole(queue, selected, min, max, wait),
            Err(cause) if wait == Wait::Never && cause.would_block() => Err(DiskWait),
            Err(cause) => {
                let (topic, id) = (queue.topic(), queue.id().0);
                tracing::warn!(topic, queue = id, from, %cause, "entries cannot be read");
                Ok(bounds(ReadStatus::OffsetFoundNull, self.queues.next_file(queue, from).min(max)))
            }
        }
    }

    /// Whether the message's record counts as cached, by how far it is from the log's end; false if
    /// there is none (Java: `checkInMemByConsumeOffset`).
    pub fn in_memory(&self, topic: &str, queue_id: QueueId, offset: QueueOffset) -> bool {
        let mut entries = Vec::with_capacity(1);
        let found = self.queues.find(topic, queue_id).and_then(|queue| {
            if offset.0 < queue.min() {
                return Ok(());
            }
            self.queues.entries(&queue, offset.0, 1, Wait::ForDisk, &mut entries)
        });
        let end = self.log.appended();
        found.is_ok()
            && entries.first().is_some_and(|entry| {
                end.saturating_sub(entry.physical_offset.0) <= self.memory_bytes()
            })
    }

    /// Goes through the entries until a bound is met.
    fn select(
        &self,
        queue: &Queue,
        from: u64,
        max: u64,
        limits: ReadLimits,
        wait: Wait,
        keep: &mut Keep<'_, '_>,
    ) -> DiskResult<Selected> {
        let rules = &self.options.transfer;
        let log_end = self.log.appended();
        let scan_max = (rules.scan_bytes / 20).max(u64::from(limits.max_messages)).max(1);
        let end = max.min(from.saturating_add(scan_max));
        let wanted = limits.max_messages.clamp(1, CHUNK as u32) as usize;
        let mut selected = Selected {
            entries: Vec::new(),
            messages: 0,
            bytes: 0,
            next: from,
            last_looked_at: None,
        };
        let mut chunk = Vec::with_capacity(wanted);
        let mut look =
            Look { how: Fetch { by_blocks: false, last: None, wait }, record: Vec::new() };
        'chunks: while selected.next < end {
            chunk.clear();
            let count = wanted.min((end - selected.next) as usize);
            self.queues.entries(queue, selected.next, count, wait, &mut chunk)?;
            let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { break };
            let (first, last) = (first.physical_offset.0, last.physical_offset.0);
            look.how.by_blocks = worth_blocks(first, last, chunk.len(), LOOK_GAP_MAX);
            for entry in &mut chunk {
                let physical_offset = entry.physical_offset.0;
                let in_memory = log_end.saturating_sub(physical_offset) <= self.memory_bytes();
                let (count_max, bytes_here) = if in_memory {
                    (rules.count_in_memory, rules.bytes_in_memory)
                } else {
                    (rules.count_on_disk, rules.bytes_on_disk)
                };
                let messages = selected.messages + u32::from(entry.messages);
                let bytes = selected.bytes + u64::from(entry.size);
                if !selected.entries.is_empty()
                    && (messages > limits.max_messages
                        || selected.messages >= count_max
                        || bytes > bytes_here)
                {
                    break 'chunks;
                }
                // Forward, even if the entry is damaged.
                let behind = entry.queue_offset.0.saturating_add(u64::from(entry.messages));
                selected.next = behind.min(max).max(selected.next + 1);
                selected.last_looked_at = Some(physical_offset);
                let mut may_be_taken = true;
                if entry.has_extension()
                    && let Some(unit) = self.queues.unit(queue, entry.tags_code, wait)?
                {
                    entry.tags_code = unit.tags_code;
                    if let Some(keep_bits) = &mut keep.more.bits {
                        may_be_taken = keep_bits(Millis(unit.store_time), &unit.bits);
                    }
                } else if entry.has_extension() {
                    if wait == Wait::Never {
                        let path = self.log.path(physical_offset);
                        return Err(DiskError::new("read", &path, io::ErrorKind::WouldBlock));
                    }
                    entry.tags_code = self.tags_code_of_record(entry).unwrap_or(0);
                }
                if may_be_taken
                    && (keep.entry)(entry)
                    && self.keeps_record(keep, entry, &mut look)?
                {
                    selected.bytes = bytes;
                    selected.messages += u32::from(entry.messages);
                    selected.entries.push(*entry);
                }
            }
        }
        Ok(selected)
    }

    /// Whether wrong entries of a batch queue have been made anew.
    fn heal_batches(
        &self,
        queue: &Arc<Queue>,
        wrong: &[Entry],
        wait: Wait,
    ) -> Result<bool, DiskWait> {
        if wait == Wait::Never {
            return Err(DiskWait);
        }
        Ok(self.queues.heal_entries(queue, wrong).unwrap_or_else(|cause| {
            tracing::warn!(%cause, "damaged entries cannot be made anew");
            false
        }))
    }

    /// Fetches the records. Entries that are not those of their records are made anew, if the log
    /// has the records.
    fn collect_whole(
        &self,
        queue: &Arc<Queue>,
        mut selected: Selected,
        min: u64,
        max: u64,
        wait: Wait,
    ) -> Result<Read, DiskWait> {
        let (read, wrong) = self.collect(queue, &selected, min, max, wait)?;
        if wrong.is_empty() {
            return Ok(read);
        }
        if wait == Wait::Never {
            return Err(DiskWait);
        }
        let healed = self.queues.heal_entries(queue, &wrong).and_then(|healed| {
            if healed {
                for entry in &mut selected.entries {
                    let mut anew = Vec::with_capacity(1);
                    self.queues.entries(queue, entry.queue_offset.0, 1, wait, &mut anew)?;
                    *entry = anew.pop().unwrap_or(*entry);
                }
            }
            Ok(healed)
        });
        let (read, wrong) = match healed {
            Ok(true) => self.collect(queue, &selected, min, max, wait)?,
            Ok(false) => (read, wrong),
            Err(cause) => {
                tracing::warn!(%cause, "damaged entries cannot be made anew");
                (read, wrong)
            }
        };
        for entry in wrong {
            let (topic, queue, offset) = (queue.topic(), queue.id().0, entry.queue_offset.0);
            let physical_offset = entry.physical_offset.0;
            tracing::error!(
                topic,
                queue,
                offset,
                physical_offset,
                "damaged message is not served; see `skua store verify`"
            );
        }
        Ok(read)
    }

    /// Fetches the records, those that lie together at once; tells the entries that are not those
    /// of their records.
    fn collect(
        &self,
        queue: &Queue,
        selected: &Selected,
        min: u64,
        max: u64,
        wait: Wait,
    ) -> Result<(Read, Vec<Entry>), DiskWait> {
        let behind = selected.last_looked_at.map_or(0, |at| self.log.appended().saturating_sub(at));
        let mut read = Read {
            behind,
            suggest_slave: behind > self.memory_bytes(),
            ..empty(ReadStatus::NoMatchedMessage, selected.next, min, max)
        };
        let together =
            |a: &Entry, b: &Entry| a.physical_offset.plus(u64::from(a.size)) == b.physical_offset;
        let mut runs = selected.entries.chunk_by(together).peekable();
        let mut wrong = Vec::new();
        let Some(first) = runs.peek() else { return Ok((read, wrong)) };
        let first = first[0].physical_offset.0;
        read.status = ReadStatus::MessageWasRemoving;

        // The common case of a consumer that keeps up with one busy queue: no copy.
        if let Some(run) = runs.next_if(|run| run.len() == selected.entries.len())
            && let Some(body) = self.log.hot_bytes(run[0].physical_offset.0, len_of(run))
            && are_records(queue, run, &body)
        {
            (read.status, read.count, read.body) = (ReadStatus::Found, selected.messages, body);
            return Ok((read, wrong));
        }
        if wait == Wait::ForDisk {
            self.log.will_need(first);
        }
        let mut body = Vec::with_capacity((selected.bytes as usize).min(BODY_LEN_USUAL));
        let last = selected.entries.last().map_or(first, |entry| entry.physical_offset.0);
        let count = selected.entries.chunk_by(together).count();
        let mut fetch =
            Fetch { by_blocks: worth_blocks(first, last, count, GAP_MAX), last: None, wait };
        for run in selected.entries.chunk_by(together) {
            if self.fetch(run, &mut fetch, &mut body)? {
                read.count += keep_records(queue, run, &mut body, &mut wrong);
                continue;
            }
            // One wrong entry must not cost the others.
            for entry in run.chunks(1) {
                if run.len() > 1 && self.fetch(entry, &mut fetch, &mut body)? {
                    read.count += keep_records(queue, entry, &mut body, &mut wrong);
                } else if entry[0].physical_offset.0 >= self.log.min() {
                    wrong.extend_from_slice(entry);
                }
            }
        }
        if read.count > 0 {
            read.status = ReadStatus::Found;
            read.body = body.into();
        }
        Ok((read, wrong))
    }

    /// Appends the stretch of log that the entries say; false if there is none.
    fn fetch(&self, run: &[Entry], how: &mut Fetch, body: &mut Vec<u8>) -> Result<bool, DiskWait> {
        let start = body.len();
        let (at, len, wait) = (run[0].physical_offset.0, len_of(run), how.wait);
        let read = match how.by_blocks {
            true => self.log.read_by_blocks(at, len, wait, &mut how.last, body),
            false => self.log.read_scattered(at, len, wait, body),
        };
        match read {
            Ok(()) => return Ok(true),
            Err(ReadError::NotThere { .. }) => {}
            Err(ReadError::Disk(cause)) if wait == Wait::Never && cause.would_block() => {
                return Err(DiskWait);
            }
            Err(cause) => tracing::warn!(%cause, "records cannot be read"),
        }
        body.truncate(start);
        Ok(false)
    }

    fn keeps_record(
        &self,
        keep: &mut Keep<'_, '_>,
        entry: &Entry,
        look: &mut Look,
    ) -> DiskResult<bool> {
        let Some(keep_record) = &mut keep.more.record else { return Ok(true) };
        let (at, size) = (entry.physical_offset.0, entry.size as usize);
        let hot = self.log.hot_bytes(at, size);
        let bytes = match &hot {
            Some(bytes) => bytes,
            None => {
                look.record.clear();
                let Fetch { by_blocks, last, wait } = &mut look.how;
                let read = match by_blocks {
                    true => self.log.read_by_blocks(at, size, *wait, last, &mut look.record),
                    false => self.log.read_into(at, size, *wait, &mut look.record),
                };
                match read {
                    Ok(()) => look.record.as_slice(),
                    Err(ReadError::Disk(cause)) if cause.would_block() => return Err(cause),
                    Err(_) => return Ok(true),
                }
            }
        };
        Ok(Record::parse(bytes).map_or(true, |record| keep_record(&record)))
    }

    fn tags_code_of_record(&self, entry: &Entry) -> Option<i64> {
        let mut bytes = Vec::new();
        let size = Some(entry.size as usize);
        self.log.record_at(entry.physical_offset.0, size, &mut bytes).ok()?;
        let record = Record::parse(&bytes).ok()?;
        Some(tags_code(&record, &self.options.delay_levels))
    }

    /// Bytes behind the log's end that count as cached.
    fn memory_bytes(&self) -> u64 {
        let rules = &self.options.transfer;
        rules.physical_memory / 100 * u64::from(rules.memory_percent)
    }
}

/// A read that may not wait for the disk would have to.
struct DiskWait;

/// How the records of one read are fetched.
struct Fetch {
    by_blocks: bool,
    last: Option<Block>,
    wait: Wait,
}

/// How records are looked at that may not be wanted, and the last of them.
struct Look {
    how: Fetch,
    record: Vec<u8>,
}

/// Whether a record is wanted.
pub type KeepRecord<'a> = &'a mut dyn FnMut(&Record<'_>) -> bool;

/// Whether a message may be wanted, by the store time and the bit map beside its entry.
pub type KeepBits<'a> = &'a mut dyn FnMut(Millis, &[u8]) -> bool;

/// What else is asked of messages than their entries.
#[derive(Default)]
pub struct KeepMore<'a> {
    pub bits: Option<KeepBits<'a>>,
    pub record: Option<KeepRecord<'a>>,
}

/// What is wanted of a queue.
pub(crate) struct Keep<'e, 'm> {
    pub entry: &'e mut dyn FnMut(&Entry) -> bool,
    pub more: KeepMore<'m>,
}

struct Selected {
    entries: Vec<Entry>,
    messages: u32,
    bytes: u64,
    next: u64,
    last_looked_at: Option<u64>,
}

fn empty(status: ReadStatus, next: u64, min: u64, max: u64) -> Read {
    Read {
        status,
        next_offset: next as i64,
        min_offset: min as i64,
        max_offset: max as i64,
        ..Read::default()
    }
}

fn len_of(run: &[Entry]) -> usize {
    run.iter().map(|entry| entry.size as usize).sum()
}

/// Whether `bytes` are the records that the entries announce.
fn are_records(queue: &Queue, run: &[Entry], mut bytes: &[u8]) -> bool {
    run.iter().all(|entry| {
        let Some((record, rest)) = bytes.split_at_checked(entry.size as usize) else {
            return false;
        };
        bytes = rest;
        is_record(queue, entry, record, false)
    })
}

/// Keeps the records that the entries announce, which end `body`, and drops what is none: wrong
/// bytes are never served. Returns how many are kept.
fn keep_records(queue: &Queue, run: &[Entry], body: &mut Vec<u8>, wrong: &mut Vec<Entry>) -> u32 {
    let mut from = body.len() - len_of(run);
    let (mut to, mut count) = (from, 0);
    for entry in run {
        let end = from + entry.size as usize;
        if is_record(queue, entry, &body[from..end], true) {
            body.copy_within(from..end, to);
            to += end - from;
            count += u32::from(entry.messages);
        } else {
            wrong.push(*entry);
        }
        from = end;
    }
    body.truncate(to);
    count
}

fn messages_of(record: &Record<'_>) -> u16 {
    inner_messages(record.sys_flag(), record.properties().get(INNER_NUM))
}

/// Whether `bytes` are the record of this entry of the queue; `crc` if its body is checked, too.
fn is_record(queue: &Queue, entry: &Entry, bytes: &[u8], crc: bool) -> bool {
    Record::parse_with(bytes, crc).is_ok_and(|record| {
        record.size() == entry.size as usize
            && record.physical_offset() as u64 == entry.physical_offset.0
            && (is_lmq(queue.topic())
                || (record.topic() == queue.topic()
                    && record.queue_id() as u32 == queue.id().0
                    && record.queue_offset() as u64 == entry.queue_offset.0
                    && (!queue.is_batch() || entry.messages == messages_of(&record))))
    })
}

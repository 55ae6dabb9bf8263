//! From the log to the consume queues: one function follows the log live and at recovery.

use std::sync::{Arc, OnceLock};

use skua_protocol::properties::{DELAY, INNER_NUM, Properties};
use skua_protocol::record::{self, Peek, Record, RecordError};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::commit_log::CommitLog;
use crate::consume_queue::{
    BatchSlot, Queue, Queues, Recent, Slot, Unit, has_place, inner_messages, is_storable_topic,
};
use crate::disk::DiskError;
use crate::error::ReadError;
use crate::index::Keys;
use crate::multi_dispatch::MultiDispatch;
use crate::options::deliver_time;
use crate::torn;

/// Messages of this topic wait for their time; their entries carry it (Java:
/// `TopicValidator.RMQ_SYS_SCHEDULE_TOPIC`).
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// Records handled at a time: bounds the memory and how long the first waits for the last.
const ROUND_RECORDS: usize = 1024;
/// A record announced as longer is none: more than any message size set in earnest.
pub(crate) const RECORD_LEN_MAX: usize = 256 << 20;
/// Bytes of log read at a time.
const ROUND_BYTES: usize = 1 << 20;

/// A message that can be read from its queue now.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub topic: &'a str,
    pub queue_id: QueueId,
    /// Of the record's last message.
    pub queue_offset: QueueOffset,
    pub tags_code: i64,
    pub store_timestamp: Millis,
    /// Where its record is, and how long.
    pub physical_offset: PhysicalOffset,
    pub size: u32,
}

/// What recovery demands of the records on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The store wrote them itself since it was opened.
    Own,
    /// They may be torn or not be records at all.
    Check(Checks),
}

/// Which checksums must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checks {
    /// The body's (`checkCRCOnRecover`).
    pub crc: bool,
    /// The record's, if it has one.
    pub seal: bool,
    /// And it must have one (`forceVerifyPropCRC`).
    pub seal_is_there: bool,
}

impl Checks {
    pub(crate) fn check(self, record: &Record<'_>) -> Result<(), RecordError> {
        if !self.crc {
            return Ok(());
        }
        record.check_crc()?;
        match record::check_seal(record.bytes()) {
            Some(checked) if self.seal => checked,
            None if self.seal_is_there => Err(RecordError::NoSeal),
            _ => Ok(()),
        }
    }
}

/// What ended a round of dispatch.
#[derive(Debug)]
pub(crate) enum Stop {
    /// As many records as a round takes, or all there are.
    Done,
    /// Here stands no record: nothing at all, or something else.
    NoRecord(Option<RecordError>),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    #[error("queue: {0}")]
    Queue(DiskError),
    #[error("log: {0}")]
    Log(#[from] ReadError),
}

/// Where dispatch stands, and what it needs on the way.
pub(crate) struct Dispatcher {
    pub position: u64,
    /// Store time of the last record before `position`.
    pub timestamp: Millis,
    /// Records from here on are only read, not dispatched; for recovery.
    pub limit: u64,
    /// Store time of the last record before `limit`.
    pub limit_timestamp: Millis,
    delay_levels: Vec<i64>,
    multi_dispatch: MultiDispatch,
    /// If entries have something beside them.
    bits: Option<Arc<OnceLock<BitMap>>>,
    buffer: Vec<u8>,
    batch: Vec<Pending>,
    recent: Recent,
    slots: Vec<Slot>,
    /// The keys of the last round's records, where there is an index to hand them to.
    pub keys: Option<Keys>,
}

#[derive(Debug)]
struct Pending {
    queue: Arc<Queue>,
    queue_offset: u64,
    slot: Slot,
    store_timestamp: Millis,
    /// In the record.
    messages: u16,
    /// The bit map of filters, if entries have something beside them.
    bits: Box<[u8]>,
}

/// Which groups' filters take a message of the topic with these properties; `None` if none are.
pub type BitMap = Box<dyn Fn(&str, Properties<'_>) -> Option<Vec<u8>> + Send + Sync>;

impl Pending {
    fn unit(&self) -> Unit {
        let (tags_code, store_time) = (self.slot.tags_code, self.store_timestamp.0);
        Unit { tags_code, store_time, bits: self.bits.clone() }
    }

    fn batch(&self) -> BatchSlot {
        BatchSlot {
            physical_offset: self.slot.physical_offset,
            size: self.slot.size,
            tags_code: self.slot.tags_code,
            store_time: self.store_timestamp.0,
            first: self.queue_offset,
            messages: self.messages,
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(
        delay_levels: Vec<i64>,
        multi_dispatch: MultiDispatch,
        bits: Option<Arc<OnceLock<BitMap>>>,
    ) -> Self {
        Self {
            position: 0,
            timestamp: Millis(0),
            limit: u64::MAX,
            limit_timestamp: Millis(0),
            delay_levels,
            multi_dispatch,
            bits,
            buffer: Vec::new(),
            batch: Vec::new(),
            recent: Recent::default(),
            slots: Vec::new(),
            keys: None,
        }
    }

    /// Takes the next records into the queues, up to `end`; returns how many, and why it stopped.
    /// On an error nothing is lost: the round begins again where it began.
    pub(crate) fn round(
        &mut self,
        log: &CommitLog,
        queues: &Queues,
        end: u64,
        trust: Trust,
        arrived: &dyn Fn(&Arrival<'_>),
    ) -> Result<(usize, Stop), DispatchError> {
        let (mut position, mut timestamp) = (self.position, self.timestamp);
        let mut stop = Stop::Done;
        let mut count = 0;
        let mut least = 8;
        self.batch.clear();
        if let Some(keys) = &mut self.keys {
            keys.begin(position);
        }
        while count < ROUND_RECORDS && position < end {
            let Some(base) = log.file_of(position) else { break };
            let file_end = base + log.file_size();
            let mut buffer = std::mem::take(&mut self.buffer);
            let walked =
                log.with_bytes(position, least, ROUND_BYTES.max(least), &mut buffer, |bytes| {
                    self.walk(
                        bytes,
                        position,
                        file_end.min(end),
                        trust,
                        queues,
                        ROUND_RECORDS - count,
                    )
                });
            self.buffer = buffer;
            let walked = walked?.map_err(DispatchError::Queue)?;
            position = walked.position;
            count += walked.count;
            if let Some(last) = walked.timestamp {
                timestamp = last;
            }
            least = 8;
            match walked.next {
                Next::More { least: wanted } => least = wanted,
                Next::File => position = file_end,
                Next::Stop(reason) => {
                    stop = Stop::NoRecord(reason);
                    break;
                }
            }
        }
        self.deliver(queues, arrived).map_err(DispatchError::Queue)?;
        (self.position, self.timestamp) = (position, timestamp);
        if let Some(keys) = &mut self.keys {
            keys.end(position);
        }
        if self.buffer.capacity() > 2 * ROUND_BYTES {
            self.buffer = Vec::new();
        }
        Ok((count, stop))
    }

    /// Walks the records in `bytes`, which begin at `start`.
    fn walk(
        &mut self,
        bytes: &[u8],
        start: u64,
        end: u64,
        trust: Trust,
        queues: &Queues,
        limit: usize,
    ) -> Result<Walked, DiskError> {
        let mut walked =
            Walked { position: start, count: 0, timestamp: None, next: Next::More { least: 8 } };
        while walked.count < limit {
            let rest = &bytes[(walked.position - start) as usize..];
            if walked.position + 8 > end {
                // No room for a record; Java always leaves room for a filler.
                walked.next =
                    if walked.position == end { Next::More { least: 8 } } else { Next::Stop(None) };
                break;
            }
            if rest.len() < 8 {
                break;
            }
            let size = match record::next(rest) {
                Ok(Peek::Message { size }) => size,
                Ok(Peek::EndOfFile { .. }) => {
                    walked.next = Next::File;
                    break;
                }
                Ok(Peek::Empty) => {
                    walked.next = Next::Stop(None);
                    break;
                }
                // Either this piece ends before the record does, or a filler says where the file
                // ends, or the record is torn.
                Err(RecordError::Truncated { size, have }) => {
                    let filler = rest[4..8] == record::MAGIC_END_OF_FILE.to_be_bytes();
                    walked.next = if filler {
                        Next::File
                    } else if size <= RECORD_LEN_MAX && walked.position + size as u64 <= end {
                        Next::More { least: size }
                    } else {
                        Next::Stop(Some(RecordError::Truncated { size, have }))
                    };
                    break;
                }
                Err(reason) => {
                    walked.next = Next::Stop(Some(reason));
                    break;
                }
            };
            match check(&rest[..size], walked.position, trust) {
                Ok(record) => {
                    if walked.position < self.limit {
                        self.take(&record, walked.position, queues)?;
                        if let Some(keys) = &mut self.keys {
                            keys.note(&record, walked.position);
                        }
                        self.limit_timestamp = record.store_timestamp();
                    }
                    walked.timestamp = Some(record.store_timestamp());
                    walked.position += size as u64;
                    walked.count += 1;
                }
                Err(reason) => {
                    walked.next = Next::Stop(Some(reason));
                    break;
                }
            }
        }
        Ok(walked)
    }

    /// Notes the record's entry for its queue, if it gets one.
    fn take(
        &mut self,
        record: &Record<'_>,
        position: u64,
        queues: &Queues,
    ) -> Result<(), DiskError> {
        if !has_place(record.sys_flag()) {
            return Ok(());
        }
        let (Ok(queue_id), Ok(queue_offset)) =
            (u32::try_from(record.queue_id()), u64::try_from(record.queue_offset()))
        else {
            tracing::warn!(position, "record without a valid queue id or offset is in no queue");
            return Ok(());
        };
        let queue_id = QueueId(queue_id);
        let tags_code = tags_code(record, &self.delay_levels);
        if queues.was_deleted(record.topic(), position) {
            return Ok(());
        }
        let messages = if queues.is_batch_record(record) {
            inner_messages(record.sys_flag(), record.properties().get(INNER_NUM))
        } else {
            1
        };
        let bits = self.bits.as_ref().and_then(|bits| bits.get());
        let bits = bits.and_then(|bits| bits(record.topic(), record.properties()));
        let bits: Box<[u8]> = bits.unwrap_or_default().into();
        for (topic, queue_id, queue_offset) in self.multi_dispatch.places(record) {
            if !is_storable_topic(topic) || queues.was_deleted(topic, position) {
                continue;
            }
            self.batch.push(Pending {
                queue: self.recent.get(queues, topic, queue_id)?,
                queue_offset,
                slot: Slot { physical_offset: position, size: record.size() as i32, tags_code },
                store_timestamp: record.store_timestamp(),
                messages: 1,
                bits: bits.clone(),
            });
        }
        let queue = self.recent.get(queues, record.topic(), queue_id)?;
        self.batch.push(Pending {
            queue,
            queue_offset,
            slot: Slot { physical_offset: position, size: record.size() as i32, tags_code },
            store_timestamp: record.store_timestamp(),
            messages,
            bits,
        });
        Ok(())
    }

    /// Writes the batch, the entries of each queue together, and reports them.
    fn deliver(
        &mut self,
        queues: &Queues,
        arrived: &dyn Fn(&Arrival<'_>),
    ) -> Result<(), DiskError> {
        self.batch.sort_by_key(|pending| pending.queue.owner());
        let in_row = |a: &Pending, b: &Pending| {
            a.queue.owner() == b.queue.owner()
                && (a.queue_offset.checked_add(1) == Some(b.queue_offset) || a.queue.is_batch())
        };
        for row in self.batch.chunk_by(in_row) {
            if row[0].queue.is_batch() {
                let slots: Vec<_> = row.iter().map(Pending::batch).collect();
                queues.put_batches(&row[0].queue, &slots)?;
            } else {
                self.slots.clear();
                self.slots.extend(row.iter().map(|pending| pending.slot));
                let units: Vec<_> = if queues.extends(&row[0].queue) {
                    row.iter().map(Pending::unit).collect()
                } else {
                    Vec::new()
                };
                queues.put_with(&row[0].queue, row[0].queue_offset, &self.slots, &units)?;
            }
            for pending in row {
                arrived(&Arrival {
                    topic: pending.queue.topic(),
                    queue_id: pending.queue.id(),
                    queue_offset: QueueOffset(
                        pending.queue_offset + u64::from(pending.messages) - 1,
                    ),
                    tags_code: pending.slot.tags_code,
                    store_timestamp: pending.store_timestamp,
                    physical_offset: PhysicalOffset(pending.slot.physical_offset),
                    size: pending.slot.size as u32,
                });
            }
        }
        self.batch.clear();
        Ok(())
    }
}

/// What the queue keeps of the record's tags: their hash, or the deliver time.
pub(crate) fn tags_code(record: &Record<'_>, delay_levels: &[i64]) -> i64 {
    let deliver = || {
        let level = record.properties().get(DELAY)?.parse().ok()?;
        deliver_time(delay_levels, level, record.store_timestamp())
    };
    match record.topic() {
        SCHEDULE_TOPIC => deliver().map_or_else(|| record.tags_code(), |time| time.0),
        _ => record.tags_code(),
    }
}

#[derive(Debug)]
struct Walked {
    position: u64,
    count: usize,
    timestamp: Option<Millis>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// Go on at the position; that many bytes are needed at once.
    More {
        least: usize,
    },
    /// The next file.
    File,
    Stop(Option<RecordError>),
}

/// The record, if it can be one that was stored at `position`.
fn check(bytes: &[u8], position: u64, trust: Trust) -> Result<Record<'_>, RecordError> {
    let record = Record::parse(bytes)?;
    let Trust::Check(checks) = trust else { return Ok(record) };
    checks.check(&record)?;
    // The CRC may be the body's only: what else must hold shows most torn records.
    let in_place = u64::try_from(record.physical_offset()) == Ok(position);
    if !in_place
        || record.store_timestamp().0 <= 0
        || !is_storable_topic(record.topic())
        || torn::has_lost_sector(&record, position)
    {
        let size = record.size();
        return Err(RecordError::BadLength { part: "the fixed part", length: 0, size });
    }
    Ok(record)
}

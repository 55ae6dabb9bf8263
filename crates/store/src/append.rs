//! Storing messages: encoding outside the append lock, then the lock.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use skua_protocol::properties::{
    self, CRC32, INNER_BASE, INNER_MULTI_DISPATCH, INNER_MULTI_QUEUE_OFFSET, INNER_NUM, Properties,
    PropertiesEditor,
};
use skua_protocol::record::{FLAG_INNER_BATCH, NewRecord, reserve_seal};
use skua_protocol::{Millis, PhysicalOffset, QueueOffset};

use crate::Store;
use crate::commit_log::{AppendPart, Appended, Place};
use crate::consume_queue::{Queue, has_place, inner_messages, is_storable_topic};
use crate::disk::{DiskError, lock};
use crate::error::AppendError;
use crate::gate::Epoch;
use crate::multi_dispatch::{self, LMQ_QUEUE_ID, is_lmq};
use crate::torn;

/// A buffer larger than this is not kept by the thread that used it.
const KEPT_BUFFER_LEN: usize = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where a message was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub physical_offset: PhysicalOffset,
    /// 0 for prepared and rolled back messages, which are in no queue.
    pub queue_offset: QueueOffset,
    /// Bytes of the record.
    pub size: u32,
    /// First offset behind the record: what to wait for.
    pub end: PhysicalOffset,
    pub store_timestamp: Millis,
    /// With `end`, what to wait for where a group has to agree:
    /// [`confirmed_when`](Store::confirmed_when).
    pub epoch: Epoch,
}

impl Store {
    /// Stores a message. When this returns it is in the page cache: it survives the end of the
    /// process, and [`flushed`](Self::flushed) tells when it survives that of the machine.
    pub fn append(&self, record: &NewRecord<'_>, now: Millis) -> Result<Receipt, AppendError> {
        let receipt = self.append_only(record, now)?;
        self.wake_for_append();
        Ok(receipt)
    }

    /// As [`append`](Self::append), but nobody is woken for it: the caller comes back soon with
    /// [`dispatch_here`](Self::dispatch_here), its answers first.
    pub fn append_only(&self, record: &NewRecord<'_>, now: Millis) -> Result<Receipt, AppendError> {
        let mut receipt = None;
        let mut stored = |stored| receipt = Some(stored);
        if record.sys_flag & FLAG_INNER_BATCH != 0 && self.queues.is_batch(record.topic) {
            self.append_inner_batch(record, now, &mut stored)?;
        } else if self.options.multi_dispatch.gives_offsets(record) {
            self.append_to_many(record, now, &mut stored)?;
        } else {
            self.append_all(std::slice::from_ref(record), now, &mut stored)?;
        }
        receipt.ok_or(AppendError::Closed)
    }

    /// Stores messages one behind the other in one file, all or none.
    pub fn append_batch(
        &self,
        records: &[NewRecord<'_>],
        now: Millis,
    ) -> Result<Vec<Receipt>, AppendError> {
        let receipts = self.append_batch_only(records, now)?;
        self.wake_for_append();
        Ok(receipts)
    }

    /// As [`append_batch`](Self::append_batch), but nobody is woken for it, as by
    /// [`append_only`](Self::append_only).
    pub fn append_batch_only(
        &self,
        records: &[NewRecord<'_>],
        now: Millis,
    ) -> Result<Vec<Receipt>, AppendError> {
        let mut receipts = Vec::with_capacity(records.len());
        self.append_all(records, now, &mut |stored| receipts.push(stored))?;
        Ok(receipts)
    }

    fn append_all(
        &self,
        records: &[NewRecord<'_>],
        now: Millis,
        stored: &mut dyn FnMut(Receipt),
    ) -> Result<(), AppendError> {
        self.with_buffer(|buffer| self.append_encoded(records, now, buffer, stored))
    }

    /// Runs `append` with an empty buffer, unless the disk is full.
    fn with_buffer(
        &self,
        append: impl FnOnce(&mut Vec<u8>) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        if let Some(full) = self.retention.full() {
            return Err(full.into());
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let result = append(buffer);
            if buffer.capacity() > KEPT_BUFFER_LEN {
                *buffer = Vec::new();
            }
            result
        })
    }

    fn append_encoded(
        &self,
        records: &[NewRecord<'_>],
        now: Millis,
        buffer: &mut Vec<u8>,
        stored: &mut dyn FnMut(Receipt),
    ) -> Result<(), AppendError> {
        if let [record] = records {
            // Without lists for the one.
            self.check(record)?;
            self.encode(record, buffer)?;
            let place = OwnPlace { messages: 1, expected: None };
            return self.append_one(record, place, &[], now, buffer, stored).map(drop);
        }
        let mut ends = Vec::with_capacity(records.len());
        for record in records {
            self.check(record)?;
            self.encode(record, buffer)?;
            ends.push(buffer.len());
        }
        loop {
            let mut queues: Vec<Option<Arc<Queue>>> = Vec::with_capacity(records.len());
            for record in records {
                // Mostly a batch is for one queue.
                let same = queues.last().and_then(Option::as_ref).filter(|queue| {
                    queue.id() == record.queue_id
                        && queue.topic() == record.topic
                        && has_place(record.sys_flag)
                });
                let queue = match same {
                    Some(queue) => Some(Arc::clone(queue)),
                    None => self.queue_for(record)?,
                };
                queues.push(queue);
            }
            let mut start = 0;
            let parts: Vec<_> = (ends.iter().zip(&queues))
                .map(|(end, queue)| {
                    let bytes = std::mem::replace(&mut start, *end)..*end;
                    AppendPart {
                        bytes,
                        queue: queue.as_deref(),
                        messages: 1,
                        expected: None,
                        more: &[],
                    }
                })
                .collect();
            let mut offsets = Vec::with_capacity(parts.len());
            let assigned = |physical, queue| offsets.push((physical, queue));
            match self.log.append(buffer, &parts, now, assigned)? {
                Appended::QueueGone | Appended::QueueMoved => {}
                Appended::At { store_timestamp, epoch } => {
                    let stamp = (store_timestamp, epoch);
                    for ((physical_offset, queue_offset), part) in offsets.into_iter().zip(&parts) {
                        stored(receipt(physical_offset, queue_offset, part, stamp));
                    }
                    return Ok(());
                }
            }
        }
    }

    fn check(&self, record: &NewRecord<'_>) -> Result<(), AppendError> {
        if !is_storable_topic(record.topic) {
            let cause = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
            let topic = Path::new(record.topic);
            return Err(AppendError::Queue(DiskError::new("name a directory", topic, cause)));
        }
        if let Some(zeros) = torn::zeros(record.properties) {
            return Err(AppendError::Zeros(zeros));
        }
        Ok(())
    }

    /// Puts the record behind what is in the buffer.
    fn encode(&self, record: &NewRecord<'_>, buffer: &mut Vec<u8>) -> Result<(), AppendError> {
        if !self.options.append_prop_crc {
            return Ok(record.encode(buffer)?);
        }
        let given = Properties::new(record.properties);
        let mut properties = record.properties.to_vec();
        if given.get(CRC32).is_some() {
            let mut editor = PropertiesEditor::from(given);
            editor.remove(CRC32);
            properties = editor.encode().into_bytes();
        }
        reserve_seal(&mut properties);
        Ok(NewRecord { properties: &properties, ..*record }.encode(buffer)?)
    }

    /// Appends the one record in the buffer, which takes places in `more` queues, too; true if
    /// one of these has moved on.
    fn append_one(
        &self,
        record: &NewRecord<'_>,
        own: OwnPlace,
        more: &[Place],
        now: Millis,
        buffer: &mut [u8],
        stored: &mut dyn FnMut(Receipt),
    ) -> Result<bool, AppendError> {
        loop {
            let queue = self.queue_for(record)?;
            let OwnPlace { messages, expected } = own;
            let bytes = 0..buffer.len();
            let part = AppendPart { bytes, queue: queue.as_deref(), messages, expected, more };
            let mut offsets = (PhysicalOffset(0), QueueOffset(0));
            let assigned = |physical, queue| offsets = (physical, queue);
            match self.log.append(buffer, std::slice::from_ref(&part), now, assigned)? {
                Appended::QueueGone if more.is_empty() && expected.is_none() => {}
                Appended::QueueGone | Appended::QueueMoved => return Ok(true),
                Appended::At { store_timestamp, epoch } => {
                    stored(receipt(offsets.0, offsets.1, &part, (store_timestamp, epoch)));
                    return Ok(false);
                }
            }
        }
    }

    /// Stores a message that is dispatched to LMQ queues, too. Their offsets stand in a property
    /// (Java: `LmqDispatch`), so the record is made anew if one was given away meanwhile.
    fn append_to_many(
        &self,
        record: &NewRecord<'_>,
        now: Millis,
        stored: &mut dyn FnMut(Receipt),
    ) -> Result<(), AppendError> {
        // The others of the kind: none makes its record in vain.
        let _one = lock(&self.dispatching_to_many);
        let given = Properties::new(record.properties);
        let names = given.get(INNER_MULTI_DISPATCH).unwrap_or_default();
        loop {
            let mut places: Vec<Place> = Vec::new();
            let mut offsets = Vec::new();
            for name in multi_dispatch::names(names) {
                if !is_lmq(name) || !is_storable_topic(name) {
                    offsets.push(if is_lmq(name) { "0".to_owned() } else { String::new() });
                    continue;
                }
                let queue = self.queues.get(name, LMQ_QUEUE_ID).map_err(AppendError::Queue)?;
                let offset = queue.next();
                offsets.push(offset.to_string());
                if places.iter().all(|place| place.queue.owner() != queue.owner()) {
                    places.push(Place { queue, offset });
                }
            }
            let mut editor = PropertiesEditor::from(given);
            editor.remove(INNER_MULTI_QUEUE_OFFSET);
            let mut properties = editor.encode().into_bytes();
            properties::append(&mut properties, INNER_MULTI_QUEUE_OFFSET, &offsets.join(","));
            let record = NewRecord { properties: &properties, ..*record };
            let mut moved = false;
            self.with_buffer(|buffer| {
                self.check(&record)?;
                self.encode(&record, buffer)?;
                let own = OwnPlace { messages: 1, expected: None };
                moved = self.append_one(&record, own, &places, now, buffer, stored)?;
                Ok(())
            })?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// Stores a record that holds several messages of a batch topic. The queue offset of the first
    /// stands in a property (Java: `BatchConsumeQueue.assignQueueOffset`), so the record is made
    /// anew if it was given away meanwhile.
    fn append_inner_batch(
        &self,
        record: &NewRecord<'_>,
        now: Millis,
        stored: &mut dyn FnMut(Receipt),
    ) -> Result<(), AppendError> {
        let _one = lock(&self.dispatching_to_many);
        let given = Properties::new(record.properties);
        let messages = u64::from(inner_messages(record.sys_flag, given.get(INNER_NUM)));
        loop {
            let queue = self.queues.get(record.topic, record.queue_id);
            let first = queue.map_err(AppendError::Queue)?.next();
            let mut editor = PropertiesEditor::from(given);
            editor.remove(INNER_BASE);
            let mut properties = editor.encode().into_bytes();
            properties::append(&mut properties, INNER_BASE, &first.to_string());
            let record = NewRecord { properties: &properties, ..*record };
            let mut moved = false;
            self.with_buffer(|buffer| {
                self.check(&record)?;
                self.encode(&record, buffer)?;
                let own = OwnPlace { messages, expected: Some(first) };
                moved = self.append_one(&record, own, &[], now, buffer, stored)?;
                Ok(())
            })?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// The queue that the record takes a place in, if it takes one.
    fn queue_for(&self, record: &NewRecord<'_>) -> Result<Option<Arc<Queue>>, AppendError> {
        if !has_place(record.sys_flag) {
            return Ok(None);
        }
        self.queues.get(record.topic, record.queue_id).map(Some).map_err(AppendError::Queue)
    }
}

/// What a record takes of its own queue.
#[derive(Clone, Copy)]
struct OwnPlace {
    messages: u64,
    /// The queue offset that it says it has, if it says so.
    expected: Option<u64>,
}

fn receipt(
    physical_offset: PhysicalOffset,
    queue_offset: QueueOffset,
    part: &AppendPart<'_>,
    (store_timestamp, epoch): (Millis, Epoch),
) -> Receipt {
    let size = part.bytes.len();
    let end = physical_offset.plus(size as u64);
    Receipt { physical_offset, queue_offset, size: size as u32, end, store_timestamp, epoch }
}

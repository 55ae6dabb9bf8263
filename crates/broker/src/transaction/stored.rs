//! The half queue and its op queue in the store: the records, as Java writes and reads them.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use bytestring::ByteString;
use skua_protocol::body::{PERM_READ, PERM_WRITE, TopicConfig};
use skua_protocol::message_id::offset_id;
use skua_protocol::properties::{self, PropertiesEditor};
use skua_protocol::record::{
    self, FLAG_TRANSACTION_COMMIT, FLAG_TRANSACTION_MASK, NewRecord, Record, RecordError,
};
use skua_protocol::request::CheckTransactionState;
use skua_protocol::{Command, Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_store::{AppendError, Entry, ReadError, ReadLimits, ReadStatus, Receipt};

use super::half_queue::{GivenUp, Half, Identity};
use super::work::{Chunk, Committed, Copied, Queues};
use crate::broker::Broker;
use crate::files::SaveError;
use crate::names::{CHECK_MAX_TIME_TOPIC, HALF_TOPIC, OP_HALF_TOPIC};

/// Java: all half messages go to one queue, whatever the topic has.
pub const HALF_QUEUE: QueueId = QueueId(0);
/// Tag of op messages: the half messages in the body are to be removed.
const REMOVE_TAG: &str = "d";
/// Entries of a queue read at a time.
const ENTRIES_AT_A_TIME: u32 = 64;

/// Why the work on transactions stops for now.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("a committed message cannot wait for its time: {0}")]
    Later(String),
    #[error("entries of {topic} from {from} on cannot be read")]
    Entries { topic: &'static str, from: u64 },
}

/// A half message as it lies in the log.
#[derive(Clone, Debug)]
pub struct HalfMessage(Bytes);

impl HalfMessage {
    /// The half message in these bytes; `None` if they are something else.
    pub fn of(bytes: Bytes) -> Option<Self> {
        let record = Record::parse(&bytes).ok()?;
        (record.topic() == HALF_TOPIC && record.queue_id() == HALF_QUEUE.0 as i32)
            .then_some(Self(bytes))
    }

    pub fn record(&self) -> Record<'_> {
        Record::parse(&self.0).expect("checked when it was made")
    }

    pub fn identity(&self) -> Identity {
        identity(&self.record())
    }
}

/// Copies keep all that is looked at here; a message that a client sends once more differs, in its
/// time if in nothing else.
fn identity(record: &Record<'_>) -> Identity {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        let properties = record.properties();
        for name in [properties::UNIQ_KEY, properties::PGROUP, properties::KEYS] {
            properties.get(name).hash(&mut hasher);
        }
        if properties.get(properties::UNIQ_KEY).is_none() {
            record.physical_offset().hash(&mut hasher);
        }
        (record.born_timestamp(), record.born_host(), record.body_crc()).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    Identity(half(1) << 64 | half(2))
}

/// The message's properties without what belongs to the record that it came in.
pub fn editor(record: &Record<'_>) -> PropertiesEditor {
    let mut editor = PropertiesEditor::from(record.properties());
    editor.remove(properties::CRC32);
    editor
}

/// A record with all that the given one has.
pub fn copy_of<'a>(record: &Record<'a>) -> NewRecord<'a> {
    NewRecord {
        topic: record.topic(),
        queue_id: QueueId(record.queue_id().max(0) as u32),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp: record.born_timestamp(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: 0,
        body: record.body(),
        properties: record.properties().encoded(),
    }
}

/// The half messages that an op message settles; none if it is no op message.
fn halves_of(record: &Record<'_>) -> Vec<u64> {
    if record.tags() != Some(REMOVE_TAG) {
        tracing::warn!(tags = record.tags(), "op message of unknown kind passed over");
        return Vec::new();
    }
    let body = String::from_utf8_lossy(record.body());
    body.split(',').filter_map(|offset| offset.parse().ok()).collect()
}

pub struct StoredQueues<'a> {
    pub broker: &'a Broker,
}

impl StoredQueues<'_> {
    fn entries(&self, topic: &'static str, from: u64) -> Result<(Vec<Entry>, u64), WorkError> {
        let mut entries = Vec::new();
        let limits = ReadLimits { max_messages: ENTRIES_AT_A_TIME };
        let at = i64::try_from(from).unwrap_or(i64::MAX);
        let read = self.broker.store.read(topic, HALF_QUEUE, at, limits, &mut |entry| {
            entries.push(*entry);
            false
        });
        let next = match read.status {
            ReadStatus::OffsetFoundNull => return Err(WorkError::Entries { topic, from }),
            ReadStatus::NoMessageInQueue
            | ReadStatus::NoMatchedLogicQueue
            | ReadStatus::OffsetOverflowOne
            | ReadStatus::OffsetOverflowBadly => from,
            _ => u64::try_from(read.next_offset).unwrap_or(from),
        };
        Ok((entries, next))
    }

    /// The records of a queue that are there; those that have expired are passed over.
    fn records(&self, topic: &'static str, from: u64) -> Result<Chunk<Bytes>, WorkError> {
        let (entries, next) = self.entries(topic, from)?;
        let mut messages = Vec::with_capacity(entries.len());
        for entry in entries {
            let offset = entry.queue_offset.0;
            match self.broker.store.record_at(entry.physical_offset, Some(entry.size))? {
                Some(bytes) => messages.push((offset, bytes)),
                None if entry.physical_offset < self.broker.store.min_physical_offset() => {}
                None => {
                    let at = entry.physical_offset;
                    tracing::error!(topic, offset, %at, "no record where its queue says; passed over");
                }
            }
        }
        Ok(Chunk { messages, next })
    }

    /// Stores a half message's body and properties elsewhere.
    fn store_as(
        &self,
        record: &Record<'_>,
        topic: &str,
        properties: &PropertiesEditor,
        now: Millis,
    ) -> Result<Receipt, WorkError> {
        let properties = properties.encode();
        let message = NewRecord {
            topic,
            queue_id: HALF_QUEUE,
            properties: properties.as_bytes(),
            ..copy_of(record)
        };
        Ok(self.broker.store.append(&message, now)?)
    }

    /// Puts a half message that was given up back among those that are asked about.
    pub fn resume(&self, record: &Record<'_>, now: Millis) -> Result<(u64, Identity), WorkError> {
        let mut properties = editor(record);
        properties.set(properties::TRANSACTION_CHECK_TIMES, "0");
        let receipt = self.store_as(record, HALF_TOPIC, &properties, now)?;
        Ok((receipt.queue_offset.0, identity(record)))
    }
}

impl Queues for StoredQueues<'_> {
    type Message = HalfMessage;
    type Error = WorkError;

    fn half_messages(&self, from: u64) -> Result<Chunk<HalfMessage>, WorkError> {
        let Chunk { messages, next } = self.records(HALF_TOPIC, from)?;
        let messages = messages.into_iter().map(|(offset, bytes)| (offset, HalfMessage(bytes)));
        Ok(Chunk { messages: messages.collect(), next })
    }

    fn op_messages(&self, from: u64) -> Result<Chunk<Vec<u64>>, WorkError> {
        let Chunk { messages, next } = self.records(OP_HALF_TOPIC, from)?;
        let mut settled = Vec::with_capacity(messages.len());
        for (offset, bytes) in messages {
            let record = Record::parse(&bytes)?;
            settled.push((offset, halves_of(&record)));
        }
        Ok(Chunk { messages: settled, next })
    }

    fn committed_since(&self, half: &HalfMessage) -> Result<Vec<Committed>, WorkError> {
        let store = &self.broker.store;
        let from = PhysicalOffset(half.record().physical_offset().max(0) as u64);
        let mut halves = Vec::new();
        store.walk(from, &mut |record| {
            if record.sys_flag() & FLAG_TRANSACTION_MASK == FLAG_TRANSACTION_COMMIT {
                halves.push((record.prepared_transaction_offset(), identity(record)));
            }
        })?;
        let mut committed = Vec::with_capacity(halves.len());
        for (offset, identity) in halves {
            let Ok(offset) = u64::try_from(offset) else { continue };
            let bytes = store.record_at(PhysicalOffset(offset), None)?;
            let Some(half) = bytes.and_then(HalfMessage::of) else { continue };
            // A delayed message that was delivered keeps the mark, but not the offset.
            if half.identity() == identity {
                let half_offset = half.record().queue_offset().max(0) as u64;
                committed.push(Committed { half_offset, identity });
            }
        }
        Ok(committed)
    }

    fn half(&self, message: &HalfMessage) -> Half {
        let record = message.record();
        let (mut checks, mut first, mut immunity) = (None, None, None);
        for (name, value) in record.properties().iter() {
            match name {
                properties::TRANSACTION_CHECK_TIMES => checks = Some(value.parse().unwrap_or(-1)),
                properties::TRAN_PREPARED_QUEUE_OFFSET => first = Some(value),
                properties::CHECK_IMMUNITY_TIME_IN_SECONDS => immunity = Some(value),
                _ => {}
            }
        }
        // Java: what is no number of seconds means the broker's own timeout.
        let own = self.broker.settings().broker.transaction_time_out;
        let immunity_ms = immunity.map(|text| match text.parse::<i64>() {
            Ok(seconds) if seconds != -1 => seconds.saturating_mul(1000),
            _ => own,
        });
        Half {
            identity: identity(&record),
            born: record.born_timestamp(),
            stored: record.store_timestamp(),
            checks,
            immunity_ms,
            is_copy: checks.is_some() || first.is_some(),
        }
    }

    fn put_back(
        &self,
        message: &HalfMessage,
        checks: Option<i32>,
        now: Millis,
    ) -> Result<Copied, WorkError> {
        let record = message.record();
        let mut properties = editor(&record);
        match checks {
            Some(checks) => {
                properties.set(properties::TRANSACTION_CHECK_TIMES, checks.to_string());
            }
            None => {
                if properties.get(properties::TRAN_PREPARED_QUEUE_OFFSET).is_none() {
                    let first = record.queue_offset().to_string();
                    properties.set(properties::TRAN_PREPARED_QUEUE_OFFSET, first);
                }
                properties.set(properties::WAIT, "false");
            }
        }
        let Receipt { queue_offset, physical_offset, .. } =
            self.store_as(&record, HALF_TOPIC, &properties, now)?;
        Ok(Copied { queue_offset: queue_offset.0, physical_offset })
    }

    fn ask(&self, message: &HalfMessage, checks: i32, copy: Copied) {
        let record = message.record();
        let mut properties = editor(&record);
        properties.set(properties::TRANSACTION_CHECK_TIMES, checks.to_string());
        let queue_id = properties.get(properties::REAL_QID).and_then(|queue| queue.parse().ok());
        let (Some(topic), Some(queue_id), Some(group)) = (
            properties.get(properties::REAL_TOPIC),
            queue_id.map(QueueId),
            properties.get(properties::PGROUP),
        ) else {
            let offset = copy.queue_offset;
            tracing::warn!(offset, "half message without topic or producer group: nobody to ask");
            return;
        };
        let unique_id = properties.get(properties::UNIQ_KEY).map(ByteString::from);
        let header = CheckTransactionState {
            topic: Some(HALF_TOPIC.into()),
            tran_state_table_offset: copy.queue_offset as i64,
            commit_log_offset: copy.physical_offset.0 as i64,
            msg_id: unique_id.clone(),
            transaction_id: unique_id,
            offset_msg_id: Some(offset_id(record.store_host(), copy.physical_offset).into()),
            bname: Some(self.broker.name().into()),
        };
        let encoded = properties.encode();
        let mut body = Vec::new();
        let shown =
            NewRecord { topic, queue_id, properties: encoded.as_bytes(), ..copy_of(&record) };
        if let Err(error) = shown.encode(&mut body) {
            tracing::warn!(%error, "half message cannot be shown to its producer");
            return;
        }
        let offset = QueueOffset(copy.queue_offset);
        record::stamp(&mut body, offset, copy.physical_offset, record.store_timestamp());
        let question = Command::request(&header).with_body(body);
        if !self.broker.producers.notify_one(group, &question) {
            tracing::warn!(group, topic, "no producer of the group to ask about a transaction");
        }
    }

    fn give_up(&self, message: &HalfMessage, why: GivenUp, now: Millis) -> Result<(), WorkError> {
        let topics = &self.broker.topics;
        if !topics.contains(CHECK_MAX_TIME_TOPIC) {
            let config = TopicConfig::new(CHECK_MAX_TIME_TOPIC, 1, PERM_READ | PERM_WRITE);
            topics.ensure(config, now)?;
            drop(self.broker.topics_changed());
        }
        let record = message.record();
        let receipt = self.store_as(&record, CHECK_MAX_TIME_TOPIC, &editor(&record), now)?;
        let topic = record.properties().get(properties::REAL_TOPIC).unwrap_or_default();
        let moved_to = receipt.queue_offset.0;
        tracing::warn!(
            topic,
            ?why,
            moved_to,
            "half message given up, moved to {CHECK_MAX_TIME_TOPIC}"
        );
        Ok(())
    }

    fn write_op(&self, body: &str, now: Millis) -> Result<u64, WorkError> {
        let mut encoded = Vec::new();
        properties::append(&mut encoded, properties::TAGS, REMOVE_TAG);
        properties::append(&mut encoded, properties::WAIT, "true");
        let host = self.broker.store_host();
        let message = NewRecord {
            topic: OP_HALF_TOPIC,
            queue_id: HALF_QUEUE,
            flag: 0,
            sys_flag: 0,
            born_timestamp: now,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: body.as_bytes(),
            properties: &encoded,
        };
        Ok(self.broker.store.append(&message, now)?.queue_offset.0)
    }
}

//! Making a queue's file anew of the last one and of what came since.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use skua_protocol::record::Record;
use skua_protocol::{Millis, QueueId};

use super::file::Writer;
use crate::Store;
use crate::consume_queue::{Entry, Queue};
use crate::disk::{DiskError, DiskResult, Wait, lock};
use crate::error::ReadError;

/// Messages looked at in one go: bounds the memory for their keys, at about 48 bytes each.
const ROUND_MESSAGES: u64 = 1 << 20;
/// Entries read at a time.
const CHUNK: usize = 512;

/// A hash that keys share by accident only.
struct Keys(RandomState, RandomState);

impl Keys {
    fn of(&self, key: &str) -> u128 {
        u128::from(self.0.hash_one(key)) << 64 | u128::from(self.1.hash_one(key))
    }
}

impl Store {
    /// Compacts all queues of such topics, if it is time; returns when it is again. On the files
    /// thread.
    pub(crate) fn compaction_due(&self, now: Millis) -> Millis {
        {
            let mut next = lock(&self.compaction.next_round);
            if now < *next {
                return *next;
            }
            *next = now.plus(self.options.compaction_interval_ms);
        }
        if let Err(cause) = self.compact_all(None) {
            tracing::warn!(%cause, "topics cannot be compacted");
        }
        *lock(&self.compaction.next_round)
    }

    /// Before the log's files up to `log_end` are deleted: what is to be kept of them is kept.
    pub(crate) fn compact_before(&self, log_end: u64) -> DiskResult<()> {
        self.compact_all(Some(log_end))
    }

    fn compact_all(&self, log_end: Option<u64>) -> DiskResult<()> {
        let topics: Vec<Arc<str>> = {
            let topics = self.compaction.topics.read().unwrap_or_else(|e| e.into_inner());
            topics.iter().cloned().collect()
        };
        for topic in topics {
            let dir = self.options.root.join("consumequeue").join(&*topic);
            for listed in self.disk.list(&dir)?.into_iter().filter(|entry| entry.is_dir) {
                let Ok(id) = listed.name.parse().map(QueueId) else { continue };
                let queue = self.queues.find(&topic, id)?;
                while self.compact(&queue, log_end)? {
                    if self.is_closing() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// One round over a queue; true if there may be more to do.
    fn compact(&self, queue: &Queue, log_end: Option<u64>) -> DiskResult<bool> {
        let old = self.compacted(queue, Wait::ForDisk)?;
        let from = old.as_ref().map_or(0, |file| file.until).max(queue.min());
        // Only what no power cut takes back.
        let durable = lock(&self.checkpoint).own.map_or(0, |marks| marks.dispatched);
        let durable = durable.min(self.flushed_offset().0);
        let keys = Keys(RandomState::new(), RandomState::new());
        let mut latest: HashMap<u128, u64> = HashMap::new();
        let mut bytes = 0;
        let (mut until, mut end) = (from, old.as_ref().map_or(0, |file| file.log_end));
        let round_end = from.saturating_add(ROUND_MESSAGES);
        self.each_entry(queue, from..round_end.min(queue.max()), &mut |entry, record| {
            let record_end = entry.physical_offset.0 + u64::from(entry.size);
            if record_end > durable || log_end.is_some_and(|log_end| record_end > log_end) {
                return Ok(false);
            }
            (until, end) = (entry.queue_offset.0 + 1, record_end);
            if let Some(key) = record.as_ref().and_then(key_of) {
                latest.insert(keys.of(key), entry.queue_offset.0);
                bytes += u64::from(entry.size);
            }
            Ok(true)
        })?;
        let new = until - from;
        let kept = old.as_ref().map_or(0, |file| file.count);
        // A few new messages are not worth writing everything again.
        if new == 0 || (log_end.is_none() && new <= kept / 10) {
            return Ok(false);
        }
        let dir = self.compaction_dir(queue.topic()).join(queue.id().to_string());
        let bytes = bytes + old.as_ref().map_or(0, |file| file.bytes());
        let mut writer = Writer::new(&*self.disk, &dir, until, bytes, kept + new)?;
        let mut buffer = Vec::new();
        for nth in 0..kept {
            let Some(old) = &old else { break };
            let offset = old.record(nth, Wait::ForDisk, &mut buffer)?;
            let record = Record::parse(&buffer).ok();
            let is_latest = |key| !latest.contains_key(&keys.of(key));
            if record.as_ref().and_then(key_of).is_some_and(is_latest) {
                writer.push(offset, &buffer)?;
            }
        }
        self.each_entry(queue, from..until, &mut |entry, record| {
            let offset = entry.queue_offset.0;
            if let Some(record) = record
                && let Some(key) = key_of(&record)
                && latest.get(&keys.of(key)) == Some(&offset)
                && !record.body().is_empty()
            {
                writer.push(offset, record.bytes())?;
            }
            Ok(true)
        })?;
        let Some(file) = writer.finish(&*self.disk, until, end)? else {
            let cause = std::io::Error::other("what was written is not what is there");
            return Err(DiskError::new("write", &dir, cause));
        };
        if queue.is_deleted() {
            return Ok(false);
        }
        lock(&self.compaction.files).insert(queue.owner(), Some(Arc::new(file)));
        if let Some(old) = old {
            self.disk.remove(&dir.join(format!("{:020}", old.until)))?;
        }
        tracing::debug!(topic = queue.topic(), queue = queue.id().0, until, "compacted");
        Ok(until == round_end)
    }

    /// Shows entries and their records, `None` for those that are damaged or gone, until `visit`
    /// says no.
    fn each_entry(
        &self,
        queue: &Queue,
        range: std::ops::Range<u64>,
        visit: &mut dyn FnMut(&Entry, Option<Record<'_>>) -> DiskResult<bool>,
    ) -> DiskResult<()> {
        let mut next = range.start;
        let mut entries = Vec::with_capacity(CHUNK);
        let mut bytes = Vec::new();
        while next < range.end {
            entries.clear();
            let count = CHUNK.min((range.end - next) as usize);
            self.queues.entries(queue, next, count, Wait::ForDisk, &mut entries)?;
            let Some(last) = entries.last() else { return Ok(()) };
            next = last.queue_offset.0 + 1;
            for entry in &entries {
                let (at, size) = (entry.physical_offset.0, entry.size as usize);
                let record = match self.log.record_at(at, Some(size), &mut bytes) {
                    Ok(()) => Record::parse_with(&bytes, true).ok(),
                    Err(ReadError::Disk(cause)) => return Err(cause),
                    Err(_) => None,
                };
                if !visit(entry, record)? {
                    return Ok(());
                }
            }
        }
        Ok::<_, DiskError>(())
    }
}

/// The key that a message is the latest of. Java takes all of `KEYS` for one.
fn key_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    let key = record.properties().get(skua_protocol::properties::KEYS)?;
    (!key.trim().is_empty()).then_some(key)
}

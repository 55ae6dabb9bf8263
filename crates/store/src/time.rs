//! Finding queue offsets by store time.

use skua_protocol::record::Record;
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::Store;
use crate::consume_queue::{Queue, bisect};
use crate::disk::{DiskResult, Wait};
use crate::error::ReadError;

/// Which of the offsets around a time is meant (Java: `BoundaryType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The first message stored then or later; the queue's end if there is none.
    #[default]
    Lower,
    /// The last message stored then or before; the queue's start if there is none.
    Upper,
}

impl Store {
    /// Queue offset of the message at `time`; 0 if the queue has none, `None` if it cannot be read
    /// (Java: `getOffsetInQueueByTime`). Reads the disk.
    pub fn offset_by_time(
        &self,
        topic: &str,
        queue_id: QueueId,
        time: Millis,
        boundary: Boundary,
    ) -> Option<QueueOffset> {
        told(self.search(topic, queue_id, time, boundary))
    }

    fn search(
        &self,
        topic: &str,
        queue_id: QueueId,
        time: Millis,
        boundary: Boundary,
    ) -> DiskResult<QueueOffset> {
        let queue = self.queues.find(topic, queue_id)?;
        let (min, max) = (queue.min(), queue.max());
        let first_after = bisect(min..max, |index| {
            let stored = self.stored(&queue, index)?;
            // Records that are deleted were before all that are there.
            Ok(stored.is_none_or(|stored| match boundary {
                Boundary::Lower => stored < time,
                Boundary::Upper => stored <= time,
            }))
        })?;
        Ok(QueueOffset(match boundary {
            Boundary::Lower => first_after,
            Boundary::Upper => first_after.saturating_sub(1).max(min),
        }))
    }

    /// Store time of the first message of a queue that is still there. Reads the disk.
    pub fn earliest_time(&self, topic: &str, queue_id: QueueId) -> Option<Millis> {
        let min = self.min_offset(topic, queue_id)?;
        self.store_time(topic, queue_id, min)
    }

    /// Store time of a message by its queue offset; `None` if it is not there. Reads the disk.
    pub fn store_time(
        &self,
        topic: &str,
        queue_id: QueueId,
        offset: QueueOffset,
    ) -> Option<Millis> {
        let queue = told(self.queues.find(topic, queue_id))?;
        if offset.0 < queue.min() || offset.0 >= queue.max() {
            return None;
        }
        told(self.stored(&queue, offset.0)).flatten()
    }

    /// Where the log holds the queue's message `from`, or the first after it that is there;
    /// `None` if there is none. Reads the disk.
    pub fn physical_offset(
        &self,
        topic: &str,
        queue_id: QueueId,
        from: QueueOffset,
    ) -> Option<PhysicalOffset> {
        let queue = told(self.queues.find(topic, queue_id))?;
        let mut entries = Vec::with_capacity(1);
        told(self.queues.entries(&queue, from.0.max(queue.min()), 1, Wait::ForDisk, &mut entries))?;
        entries.first().map(|entry| entry.physical_offset)
    }

    fn stored(&self, queue: &Queue, index: u64) -> DiskResult<Option<Millis>> {
        let mut entries = Vec::with_capacity(1);
        self.queues.entries(queue, index, 1, Wait::ForDisk, &mut entries)?;
        let Some(entry) = entries.first() else { return Ok(None) };
        let mut bytes = Vec::new();
        let size = Some(entry.size as usize);
        match self.log.record_at(entry.physical_offset.0, size, &mut bytes) {
            Ok(()) => Ok(Record::parse(&bytes).ok().map(|record| record.store_timestamp())),
            Err(ReadError::Disk(cause)) => Err(cause),
            Err(_) => Ok(None),
        }
    }
}

/// Those who ask for a time can do nothing about a disk that fails; the log tells.
fn told<T>(result: DiskResult<T>) -> Option<T> {
    result.inspect_err(|cause| tracing::warn!(%cause, "a store time cannot be read")).ok()
}

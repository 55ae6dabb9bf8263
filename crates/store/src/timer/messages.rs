//! What the timer needs of the store around it: the timer topic's queue, the records, a way to
//! store messages. The simulation puts a small one in its place.

use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};

use crate::Store;
use crate::consume_queue::Entry;
use crate::disk::{DiskError, DiskResult, Wait};
use crate::error::{AppendError, ReadError};

/// Where timed messages wait (Java: `TimerMessageStore.TIMER_TOPIC`).
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
pub(super) const TIMER_QUEUE: QueueId = QueueId(0);

pub(crate) trait Messages {
    /// First queue offset of the timer topic that is there, and the next that comes.
    fn queue(&self) -> DiskResult<(u64, u64)>;

    /// Entries of the timer topic's queue from `from` on, at most `count`.
    fn entries(&self, from: u64, count: usize, out: &mut Vec<Entry>) -> DiskResult<()>;

    /// Fills `buffer` with the record of `size` bytes at `offset`; `false` if there is none.
    fn record(&self, offset: u64, size: u32, buffer: &mut Vec<u8>) -> DiskResult<bool>;

    fn put(&self, record: &NewRecord<'_>, now: Millis) -> Result<(), AppendError>;

    /// The log's end.
    fn appended(&self) -> u64;

    /// Everything in the log before is in its queue.
    fn dispatched(&self) -> u64;

    /// Makes everything stored so far durable.
    fn make_durable(&self) -> DiskResult<()>;

    /// First physical offset that is there.
    fn min_physical_offset(&self) -> u64;
}

impl Messages for Store {
    fn queue(&self) -> DiskResult<(u64, u64)> {
        let queue = self.queues.get(TIMER_TOPIC, TIMER_QUEUE)?;
        Ok((queue.min(), queue.max()))
    }

    fn entries(&self, from: u64, count: usize, out: &mut Vec<Entry>) -> DiskResult<()> {
        let queue = self.queues.get(TIMER_TOPIC, TIMER_QUEUE)?;
        self.queues.entries(&queue, from, count, Wait::ForDisk, out)
    }

    fn record(&self, offset: u64, size: u32, buffer: &mut Vec<u8>) -> DiskResult<bool> {
        found(self.log.record_at(offset, Some(size as usize), buffer))
    }

    fn put(&self, record: &NewRecord<'_>, now: Millis) -> Result<(), AppendError> {
        // The timer's thread takes it into its queue after the step.
        let receipt = self.append_only(record, now)?;
        if record.topic != TIMER_TOPIC
            && let Some(tell) = self.on_timer_delivery.get()
        {
            tell(record.topic, record.queue_id, receipt.size);
        }
        Ok(())
    }

    fn appended(&self) -> u64 {
        self.log.appended()
    }

    fn dispatched(&self) -> u64 {
        Self::dispatched(self).0
    }

    fn make_durable(&self) -> DiskResult<()> {
        self.flush_log()
    }

    fn min_physical_offset(&self) -> u64 {
        self.log.min()
    }
}

/// What is not there, or no record, counts as gone; a disk that fails does not.
pub(super) fn found(read: Result<(), ReadError>) -> Result<bool, DiskError> {
    match read {
        Ok(()) => Ok(true),
        Err(ReadError::Disk(cause)) => Err(cause),
        Err(_) => Ok(false),
    }
}

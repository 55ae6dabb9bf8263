//! What replication needs of a store: reading any stretch of the log, being told that it grew, and
//! appending records of another broker where they stand there.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use skua_protocol::record::{MAGIC_END_OF_FILE, Peek, Record, RecordError, next};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::Store;
use crate::consume_queue::is_storable_topic;
use crate::disk::{DiskResult, Wait, lock};
use crate::error::{ReadError, ReplicateError};

/// Called before the checkpoint says that what is dispatched is durable.
pub type OnCheckpoint = Box<dyn Fn() -> DiskResult<()> + Send + Sync>;
/// Told that the log has grown, or that somebody asks whether this broker leads. Called by whoever
/// appends or asks: it must not wait.
pub type OnRound = Box<dyn Fn() + Send + Sync>;

impl Store {
    /// Calls `tell` once for all that a connection appended in a round of requests
    /// ([`dispatch_here`](Self::dispatch_here) ends it), and after each append that is in none. A
    /// second call changes nothing.
    pub fn on_round(&self, tell: OnRound) {
        let _ = self.on_round.set(tell);
    }

    /// Calls `before` whenever the checkpoint is about to be written: what it makes durable, the
    /// checkpoint counts on. A second call changes nothing.
    pub fn on_checkpoint(&self, before: OnCheckpoint) {
        let _ = self.on_checkpoint.set(before);
    }

    /// Makes the log durable up to its end, at once; stops the writes if that fails.
    pub fn flush_now(&self) -> DiskResult<()> {
        self.flush_log().inspect_err(|cause| self.fail(cause.clone()))
    }

    /// Tells what was appended since this was done last, if anything was.
    pub(crate) fn tell_round(&self) {
        if let Some(tell) = self.on_round.get() {
            let end = self.log.appended();
            if self.round_told.swap(end, Ordering::SeqCst) != end {
                tell();
            }
        }
    }

    /// From now on the log is another broker's: own messages are refused, copies are taken. Returns
    /// its end; whatever was not appended before does not come any more. Where a group decides,
    /// this is its business, and nothing changes.
    pub fn become_copy(&self) -> PhysicalOffset {
        if self.has_gate() { self.appended() } else { PhysicalOffset(self.log.set_copy(true)) }
    }

    /// From now on messages are appended here, and no copies. Everything in the log must have been
    /// dispatched: queues go on behind their last entry. As
    /// [`become_copy`](Self::become_copy) not where a group decides.
    pub fn become_own(&self) {
        if !self.has_gate() {
            self.log.set_copy(false);
        }
    }

    pub fn is_copy(&self) -> bool {
        self.log.is_copy()
    }

    /// Up to where the master's log was on its disk, as it was last told.
    pub fn master_flushed_offset(&self) -> PhysicalOffset {
        PhysicalOffset(lock(&self.checkpoint).master_flushed_offset)
    }

    /// Notes it in the checkpoint.
    pub fn set_master_flushed_offset(&self, offset: PhysicalOffset) -> DiskResult<()> {
        lock(&self.checkpoint).master_flushed_offset = offset.0;
        self.flush_all()
    }

    /// Bytes of a commit log file.
    pub fn commit_log_file_size(&self) -> u64 {
        self.log.file_size()
    }

    /// `from..from + len` of the log as it is.
    pub fn log_bytes(&self, from: PhysicalOffset, len: usize) -> Result<Bytes, ReadError> {
        self.log.bytes(from.0, len, Wait::ForDisk)
    }

    /// As [`log_bytes`](Self::log_bytes), if that need not wait for the disk. If it must, what
    /// follows will be wanted, too.
    pub fn log_bytes_now(
        &self,
        from: PhysicalOffset,
        len: usize,
    ) -> Result<Option<Bytes>, ReadError> {
        match self.log.bytes(from.0, len, Wait::Never) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ReadError::Disk(cause)) if cause.would_block() => {
                self.log.will_need(from.0);
                Ok(None)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Lets the log of an empty store begin at `at`, where the other broker's begins. False if
    /// there is something in it.
    pub fn begin_at(&self, at: PhysicalOffset) -> Result<bool, ReplicateError> {
        if !at.0.is_multiple_of(self.log.file_size()) {
            return Err(ReplicateError::NoFileStart(at.0));
        }
        let mut dispatcher = lock(&self.dispatcher);
        let begun = self.log.begin_at(at.0).map_err(|cause| self.log.fail(cause))?;
        if begun {
            self.gate.restart(at.0);
        }
        if begun && dispatcher.position < at.0 {
            dispatcher.position = at.0;
            lock(&self.dispatched).0 = at.0;
            self.mark.advance(at.0);
            self.log.make_first(at.0)?;
        }
        Ok(begun)
    }

    /// Lets a queue go on at `next` at least, as if everything before had expired: the other broker
    /// has given those offsets away.
    pub fn go_on_at(&self, topic: &str, queue_id: QueueId, next: QueueOffset) -> DiskResult<()> {
        let _dispatcher = lock(&self.dispatcher);
        if !is_storable_topic(topic) || self.queues.is_batch(topic) {
            return Ok(());
        }
        let queue = self.queues.get(topic, queue_id)?;
        self.queues.go_on_at(&queue, next.0)
    }

    /// Appends whole records of another broker's log, or the rest of one of its files, at the
    /// place that they have there; they lie in one file. Dispatch follows as after an append, or
    /// when they are confirmed.
    pub fn append_copy(&self, at: PhysicalOffset, bytes: &[u8]) -> Result<(), ReplicateError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let newest = self.check_copy(at.0, bytes)?;
        self.log.append_copy(at.0, bytes, newest)?;
        // Behind a gate there is nothing to dispatch until it is confirmed.
        if !self.gate.is_on() {
            self.dispatch_wanted.wake();
        }
        Ok(())
    }

    /// Nothing that dispatch or recovery would stumble over; gives the newest store time.
    fn check_copy(&self, start: u64, bytes: &[u8]) -> Result<Option<Millis>, ReplicateError> {
        let file_size = self.log.file_size();
        let file_end = (start / file_size + 1) * file_size;
        if start + bytes.len() as u64 > file_end {
            return Err(ReplicateError::FileEnd { end: start + bytes.len() as u64 });
        }
        let (mut at, mut newest) = (0, None);
        while at < bytes.len() {
            let offset = start + at as u64;
            let rest = &bytes[at..];
            let wrong = |cause| ReplicateError::NoRecord { offset, cause };
            match next(rest).map_err(wrong)? {
                Peek::Message { size } => {
                    let record = Record::parse(&rest[..size]).map_err(wrong)?;
                    let in_place = u64::try_from(record.physical_offset()) == Ok(offset);
                    if !in_place || !is_storable_topic(record.topic()) {
                        return Err(ReplicateError::BadRecord { offset });
                    }
                    newest = newest.max(Some(record.store_timestamp()));
                    at += size;
                }
                Peek::EndOfFile { size } if offset + size as u64 == file_end => at += size,
                Peek::EndOfFile { .. } => {
                    return Err(wrong(RecordError::BadMagic(MAGIC_END_OF_FILE)));
                }
                Peek::Empty => return Err(wrong(RecordError::BadSize(0))),
            }
        }
        Ok(newest)
    }
}

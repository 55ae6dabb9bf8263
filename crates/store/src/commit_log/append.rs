//! Putting records at the end.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use skua_protocol::record::{MAGIC_END_OF_FILE, seal, stamp};
use skua_protocol::{Millis, PhysicalOffset, QueueOffset};

use super::{CommitLog, END_OF_FILE_LEN, Tail};
use crate::consume_queue::Queue;
use crate::disk::{DiskError, DiskResult, lock};
use crate::error::AppendError;
use crate::gate::Epoch;

/// Size and magic, without which nothing stands there.
pub(super) const HEAD_LEN: usize = 8;

/// One record of an append: its bytes in the buffer, and the queue it goes to.
#[derive(Debug)]
pub(crate) struct AppendPart<'a> {
    pub bytes: Range<usize>,
    /// `None` if the record takes no place in a queue.
    pub queue: Option<&'a Queue>,
    /// Queue offsets that it takes there.
    pub messages: u64,
    /// The first of them, if the record says it already.
    pub expected: Option<u64>,
    /// Further queues, with the queue offsets that the record says it has there.
    pub more: &'a [Place],
}

/// A queue offset that the record counts on.
#[derive(Debug)]
pub(crate) struct Place {
    pub queue: Arc<Queue>,
    pub offset: u64,
}

/// What the lock decided, beside what is in the parts' receipts.
#[derive(Debug)]
pub(crate) enum Appended {
    /// All are in the log.
    At { store_timestamp: Millis, epoch: Epoch },
    /// A queue was deleted in between: look it up again.
    QueueGone,
    /// A place of the record is another's meanwhile: nothing is in the log.
    QueueMoved,
}

impl CommitLog {
    /// Appends all parts of `buffer` as one contiguous stretch of one file, gives each its queue
    /// offset, and tells each part's to `assigned`.
    pub(crate) fn append(
        &self,
        buffer: &mut [u8],
        parts: &[AppendPart<'_>],
        now: Millis,
        mut assigned: impl FnMut(PhysicalOffset, QueueOffset),
    ) -> Result<Appended, AppendError> {
        let len = buffer.len() as u64;
        let max = self.file_size - END_OF_FILE_LEN;
        if len > max {
            return Err(AppendError::TooLarge { size: len, max });
        }
        let wake;
        let store_timestamp;
        let epoch;
        {
            let mut tail = lock(&self.tail);
            let tail = &mut *tail;
            if self.refusing.load(Ordering::Relaxed) {
                return Err(self.failure().map_or(AppendError::Closed, AppendError::Failed));
            }
            epoch = tail.epoch.ok_or(AppendError::Copy)?;
            if parts.iter().any(|part| part.queue.is_some_and(Queue::is_deleted)) {
                return Ok(Appended::QueueGone);
            }
            let mut places = parts.iter().flat_map(|part| part.more);
            if places.any(|place| place.queue.is_deleted() || place.queue.next() != place.offset) {
                return Ok(Appended::QueueMoved);
            }
            let is_at = |part: &AppendPart<'_>| {
                let next = part.queue.map(Queue::next);
                part.expected.is_none_or(|expected| next.is_none_or(|next| next == expected))
            };
            if !parts.iter().all(is_at) {
                return Ok(Appended::QueueMoved);
            }
            let first = self.make_room(tail, len).map_err(|cause| self.no_room(cause))?;

            // Java: taken inside the lock, so that it never goes back along the log.
            let last_timestamp = self.last_timestamp.load(Ordering::Relaxed);
            let timestamp = last_timestamp.max(now.0.max(0) as u64);
            self.last_timestamp.store(timestamp, Ordering::Relaxed);
            store_timestamp = Millis(timestamp as i64);

            for part in parts {
                let physical_offset = PhysicalOffset(first + part.bytes.start as u64);
                let queue_offset =
                    part.queue.map_or(QueueOffset(0), |queue| queue.assign_many(part.messages));
                let record = &mut buffer[part.bytes.clone()];
                stamp(record, queue_offset, physical_offset, store_timestamp);
                if self.seals {
                    seal(record);
                }
                for place in part.more {
                    place.queue.assign();
                }
                assigned(physical_offset, queue_offset);
            }
            put_whole(tail, first, buffer).map_err(|cause| self.fail(cause))?;
            tail.end = first + len;
            publish(tail);
            self.appended.store(tail.end, Ordering::SeqCst);
            wake = tail.end >= tail.wake_at;
            if wake {
                tail.wake_at = u64::MAX;
                self.window_wanted.store(true, Ordering::SeqCst);
            }
        }
        if wake {
            self.files_wanted.wake();
        }
        Ok(Appended::At { store_timestamp, epoch })
    }

    /// Where `len` bytes go, with windows over them; the active file is ended if they do not fit.
    /// If this fails, nothing has happened.
    fn make_room(&self, tail: &mut Tail, len: u64) -> Result<u64, DiskError> {
        let Some(base) = self.file_of(tail.end) else {
            self.cover(tail, tail.end, tail.end + len)?;
            return Ok(tail.end);
        };
        let remaining = base + self.file_size - tail.end;
        if len + END_OF_FILE_LEN <= remaining {
            self.cover(tail, tail.end, tail.end + len)?;
            return Ok(tail.end);
        }
        let next = base + self.file_size;
        self.cover(tail, tail.end, tail.end + END_OF_FILE_LEN)?;
        self.cover(tail, next, next + len)?;
        let mut filler = [0; END_OF_FILE_LEN as usize];
        filler[..4].copy_from_slice(&(remaining as u32).to_be_bytes());
        filler[4..].copy_from_slice(&MAGIC_END_OF_FILE.to_be_bytes());
        put(tail, tail.end, &filler)?;
        Ok(next)
    }

    /// A full disk passes; every other error of the disk does not.
    fn no_room(&self, cause: DiskError) -> AppendError {
        if cause.is_full() { AppendError::NoSpace(cause) } else { self.fail(cause).into() }
    }
}

/// Writes a record, or several, through the windows over it.
pub(super) fn put_whole(tail: &mut Tail, at: u64, bytes: &[u8]) -> DiskResult<()> {
    if tail.windows.back().is_some_and(|window| window.writer.writes_by_call()) {
        // A call that the end of the process tears leaves a torn end, as a power cut does.
        return put(tail, at, bytes);
    }
    // The head last: whenever the process ends, there is all of it or, to a reader, nothing.
    let (head, rest) = bytes.split_at(bytes.len().min(HEAD_LEN));
    put(tail, at + head.len() as u64, rest)?;
    compiler_fence(Ordering::Release);
    put(tail, at, head)
}

/// Writes `bytes` to `at` through the windows over it.
fn put(tail: &mut Tail, mut at: u64, mut bytes: &[u8]) -> DiskResult<()> {
    for window in &mut tail.windows {
        if bytes.is_empty() {
            break;
        }
        if window.range.contains(&at) {
            let step = bytes.len().min((window.range.end - at) as usize);
            window.writer.write((at - window.range.start) as usize, &bytes[..step])?;
            at += step as u64;
            bytes = &bytes[step..];
        }
    }
    assert!(bytes.is_empty(), "an append covers its bytes with windows first");
    Ok(())
}

/// Shows readers everything before the end, and lets go of the windows that are full.
pub(super) fn publish(tail: &mut Tail) {
    while let Some(window) = tail.windows.front_mut() {
        if tail.end < window.range.end {
            window.writer.publish((tail.end.saturating_sub(window.range.start)) as usize);
            break;
        }
        window.writer.publish((window.range.end - window.range.start) as usize);
        tail.windows.pop_front();
    }
}

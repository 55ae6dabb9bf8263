//! One queue: its bounds, its newest entries in memory, and where the others lie.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use skua_protocol::{QueueId, QueueOffset};

use super::entry::Slot;
use super::extension::Extension;
use crate::disk::lock;

/// See the module's words. Found and filled through [`super::Queues`].
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) topic: Arc<str>,
    pub(super) id: QueueId,
    /// Whose files they are among the open ones.
    pub(super) owner: u64,
    /// Its entries are those of `batch.rs`.
    is_batch: bool,
    /// Queue offset of the next record; changed under the append lock only.
    next: AtomicU64,
    /// First and one past the last queue offset that can be read.
    min: AtomicU64,
    max: AtomicU64,
    loaded: AtomicBool,
    /// Set under the append lock: records go to the topic's next life.
    deleted: AtomicBool,
    /// Held while the queue is looked at for the first time.
    loading: Mutex<()>,
    state: Mutex<QueueState>,
}

/// What the queue's own lock guards.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// Bytes of the queue that files cover.
    pub files: Range<u64>,
    /// End of the last record the queue knows.
    pub physical_end: u64,
    /// The newest entries, up to `max`.
    pub tail: VecDeque<Slot>,
    /// So many of the newest are in memory alone. They count as dirty, and the files that they
    /// belong to are there.
    pub unwritten: usize,
    /// Bytes written and not yet durable.
    pub dirty: Option<Range<u64>>,
    /// Nothing was written since the last look of the flush.
    pub idle: bool,
    /// Of a batch queue: which of its entries are of records in the log, counted from the first
    /// that ever was.
    pub batches: Range<u64>,
    /// Once something was put beside the queue's entries.
    pub extension: Option<Box<Extension>>,
}

impl Queue {
    pub(super) fn new(topic: Arc<str>, id: QueueId, owner: u64, is_batch: bool) -> Self {
        Self {
            topic,
            id,
            owner,
            is_batch,
            next: AtomicU64::new(0),
            min: AtomicU64::new(0),
            max: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            loading: Mutex::default(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// Tells queues apart.
    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// Gives the next queue offset away. Only under the append lock.
    pub(crate) fn assign(&self) -> QueueOffset {
        self.assign_many(1)
    }

    /// Gives the next queue offsets away, the first of which is told.
    pub(crate) fn assign_many(&self, count: u64) -> QueueOffset {
        let offset = self.next.load(Ordering::Relaxed);
        self.next.store(offset + count, Ordering::Relaxed);
        QueueOffset(offset)
    }

    /// The queue offset that is given away next.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// End of the last record the queue knows.
    pub(crate) fn physical_end(&self) -> u64 {
        lock(&self.state).physical_end
    }

    /// What was given away and is not in the queue was taken back. Only under the append lock.
    pub(crate) fn forget_given(&self) {
        self.next.store(self.max(), Ordering::Relaxed);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(super) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(super) fn set_loaded(&self, loaded: bool) {
        self.loaded.store(loaded, Ordering::Release);
    }

    /// First queue offset that can be read.
    pub(crate) fn min(&self) -> u64 {
        self.min.load(Ordering::Acquire)
    }

    /// One past the last queue offset that can be read.
    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Acquire)
    }

    pub(super) fn set_bounds(&self, min: u64, max: u64) {
        self.min.store(min, Ordering::Release);
        self.max.store(max, Ordering::Release);
        self.next.fetch_max(max, Ordering::Relaxed);
    }

    /// Moves the first offset; with the queue's lock held.
    pub(super) fn raise_min(&self, min: u64) {
        self.min.fetch_max(min, Ordering::AcqRel);
    }

    pub(super) fn set_next(&self, next: u64) {
        self.next.store(next, Ordering::Relaxed);
    }

    pub(super) fn loading(&self) -> MutexGuard<'_, ()> {
        lock(&self.loading)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, QueueState> {
        lock(&self.state)
    }
}

impl QueueState {
    /// Adds a new entry to those in memory; `keep` is the most.
    pub(super) fn push(&mut self, slot: Slot, keep: usize) {
        if self.tail.len() >= keep {
            self.tail.pop_front();
        }
        self.tail.push_back(slot);
        self.physical_end = slot.end();
    }

    /// The entry at `index` of a queue that ends at `max`, if it is not in its file.
    pub(super) fn in_memory_alone(&self, index: u64, max: u64) -> Option<Slot> {
        let from_end = usize::try_from(max.checked_sub(index)?).ok()?;
        if from_end > self.unwritten {
            return None;
        }
        self.tail.get(self.tail.len() - from_end).copied()
    }

    /// No entry is in memory any more.
    pub(super) fn clear_tail(&mut self) {
        self.tail.clear();
        self.unwritten = 0;
    }

    /// Files before `at` are gone.
    pub(super) fn forget_dirty_before(&mut self, at: u64) {
        if let Some(dirty) = self.dirty.take().filter(|dirty| dirty.end > at) {
            self.dirty = Some(dirty.start.max(at)..dirty.end);
        }
    }

    pub(super) fn mark_dirty(&mut self, written: Range<u64>) {
        self.idle = false;
        merge(&mut self.dirty, written);
    }
}

/// Makes the stretch `more` longer.
pub(super) fn merge(stretch: &mut Option<Range<u64>>, more: Range<u64>) {
    *stretch = Some(match stretch.take() {
        Some(before) => before.start.min(more.start)..before.end.max(more.end),
        None => more,
    });
}
